"""Bytes that must decode for ever, and the records that they stand for."""

from __future__ import annotations

from golmok_cloud_sync.protocol import Record

_ONE = "3f2c9b0e5d7a4c1e8f6b2a9d0c4e7f11"
_TWO = "9d0c4e7f113f2c9b0e5d7a4c1e8f6b2a"

GOLDEN_RECORDS = [
    Record("fridge.temperature", 4.1, "Cel", _ONE, 86400000, "good", "", None, 0),
    Record("fridge.humidity", 55.5, "%", _ONE, 86400000, "good", "", None, 0),
    Record("door.open", False, "", _ONE, 86400005, "good", "", None, 0),
    Record("fridge.temperature", 4.23, "Cel", _ONE, 86410001, "good", "", None, 0),
    Record("fridge.humidity", None, "%", _ONE, 86410001, "bad", "crc", None, 0),
    Record("door.open", True, "", _ONE, 86410004, "good", "", None, 0),
    Record("fridge.temperature", 4.36, "Cel", _ONE, 86420002, "good", "", None, 0),
    Record("fridge.humidity", 56, "%", _ONE, 86420002, "good", "", None, 0),
    Record("door.open", False, "", _ONE, 86420003, "good", "", None, 0),
    Record("fridge.temperature", 4.49, "Cel", _ONE, 86430000, "good", "", None, 0),
    Record("fridge.humidity", "오류", "%", _ONE, 86430000, "bad", "range", None, 0),
    Record("door.open", True, "", _ONE, 86430002, "good", "", None, 0),
    Record("fridge.temperature", 4.62, "Cel", _ONE, 86440001, "good", "", None, 0),
    Record("fridge.humidity", 57.25, "%", _ONE, 86440001, "uncertain", "calibration", None, 0),
    Record("door.open", False, "", _ONE, 86440001, "good", "", None, 0),
    Record("fridge.temperature", 4.75, "Cel", _ONE, 86450002, "good", "", None, 0),
    Record("fridge.humidity", 1e300, "%", _ONE, 86450002, "good", "", None, 0),
    Record("door.open", True, "", _ONE, 86450000, "good", "", None, 0),
    Record("plug.energy", 1152921504606846977, "kW.h", _ONE, 86460000, "good", "", 1790000000123, None),
    Record("plug.power", 0.30000000000000004, "W", _ONE, 86460000, "good", "", 1790000000123, 1500),
    Record("clock.anchor", '{"mono_ms":5,"wall_ms":1790000000000,"error_ms":20}', "", _TWO, 5, "good", "", None, 0),
    Record("plug.power", -12, "W", _TWO, 4, "good", "", None, 0),
]

GOLDEN_CODEC_0 = (
    "1f8b0800000000000003bd94518edb201086ef32529f4a2cc0c68ef3da43ec436255188f136b094404ef6a15e51e7b80f674ed210aeb6c"
    "ed44d64adb6d0bd22fc633309f070d2750b6371e569c1338a2ebf008abf509d44e1a831a56d0baaed962e2717f40277def1008f4a60b7b"
    "e04b8820505b1b8db4e5aaac298aa6909962b86cf39acbb2a12ac3a2652c44eeadb15ff731c332cf681c840561172dcb7239fd50117890"
    "bac7109f258c64094f83a47990ac0c92f32085a8ce640678d7efbba6f34f23eda7ffc42a442288e9b5262227f0f3f9db8fefcf40449170"
    "41187e4e29bd216eac75893da019593f862a225e392713cc56ea2312ef7a24b3cb1bc883eeb7091a74db4949efef92dd9fa3e6917542c4"
    "98e0256782064fbeccf2b228e6200ef611ddc870f7f7006892d2eb91dd00286dd57d228dda5937775b63ae79962b0231490da7cdab6703"
    "2b4136f028b51e2c56942351f0a073d60d2e4ecff0be1abd8b309b102e18afcec13eeebad64727256fcdd01764c12fcb45ec8fa3973e3e"
    "2f27f0b2d6f1c8356cad6d4246a8c81a6a1997caa989e5a4d9e28bdd1b85cecb2e368992baabc363d45903553859d90627406c823110a4"
    "b778a166af050e1b5f9af59fc878752c3c5ed7d6efa82ab2741e9b81e6edba0e73385cd0cbcffc0271437476c7050000"
)

GOLDEN_CODEC_1 = (
    "28b52ffd604202bc0900624d2a26a027e9feff7f41deb65f5c7b37fee6e6df12b2c9be0c7951b58658b2e5de920424d5fff94d0bddbabb"
    "6fb49abd7a3a69b3a27575de2a070c8182e5b985339603c64075cf1b61345ed3249c49f1139deb7b5d0f1ffa64e6f4fc26d2a7a6f57d6b"
    "2eb724044fc1e75533ace1d52d0bf6da6bf8c5e74ac87dcd7b0e133f9461180226ce0b0d0e0c0b0fb8de884755e570a96582b0552825c0"
    "694bec48d8a50269ab205cdf5d080480423ca8215944aa2e306cfd0d30028214bbf2118025730a35858559c6cb668c3176f929523956db"
    "faf5e7d78782ea667275e8697bb8712f4788564c90553aa60a00c77c9f3733fc39e646ebf68910a904f32326dd4d0360de123fbf265246"
    "6b058ea54d11f3090703d0f8aa61fce7302055eaf6b8ef6ded90f5a374c35f8d8f062b426012910a5b6585135701300000000000fd0000"
    "3000000001000100003c0100b8000101010101fe000001ff0200000300010100ff00000006302019789574c1bc357c000245044c000018"
    "dc00000100780e084c0000180500000100780e08c000009c7500883ce4377e0100000000000010343333333333d33f010000"
)
