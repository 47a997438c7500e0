"""What the guest starts from: a kernel and an initramfs of Debian's packages, our dependencies and the code as it is.

The first two are kept in `build/bluez`; the code is put behind them anew each time, since Linux unpacks one archive
after the other. Archives are written here, so that neither root nor cpio is needed.
"""

from __future__ import annotations

import io
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

ROOT: Final = Path(__file__).resolve().parents[2]
FOLDER: Final = ROOT / "build" / "bluez"
PYTHONS: Final = {"bookworm": "3.11", "trixie": "3.13"}
"""The Debian releases that Raspberry Pi OS is made from, and their Python."""
_PACKAGES: Final = "python3,bluez,dbus,kmod"
_FETCH_KERNEL: Final = (
    'chroot "$1" sh -c "cd /root && apt-get download '
    '\\$(apt-cache depends linux-image-amd64 | sed -n \\"s/ *Depends: \\(linux-image-.*\\)/\\1/p\\")"'
)
_NOT_NEEDED: Final = re.compile(
    r"(usr/share/(perl|perl5|doc|man|locale|zoneinfo|alsa|lintian|bash-completion|info)|usr/lib/[^/]*/perl|"
    r"var/(lib/(apt|dpkg)|cache|log)|root|boot|dev|usr/lib/(udev/hwdb|apt))/"
)
_MODULES: Final = re.compile(
    r"(usr/)?lib/modules/[^/]+/(modules\.(order|builtin.*)|kernel/(crypto|lib|arch/x86/crypto|net/bluetooth|net/rfkill)/.*|"
    r"kernel/drivers/bluetooth/hci_vhci\..*)"
)
_CODE: Final = ("edge/golmok_edge", "drivers/golmok_drivers", "cloud-sync/golmok_cloud_sync", "tests")
_PLACE: Final = "golmok"
_TRAILER: Final = "TRAILER!!!"


class Image(NamedTuple):
    """What QEMU is given."""

    kernel: Path
    initrd: Path


class Entry(NamedTuple):
    """A file, folder or link of an archive."""

    name: str
    mode: int
    data: bytes = b""
    mtime_s: int = 0
    """Python's compiled files hold the time of their source."""


def cpio(entries: Iterator[Entry], out: BinaryIO) -> None:
    """Write an archive as Linux unpacks it at its start (format newc)."""
    for number, entry in enumerate([*entries, Entry(_TRAILER, 0)], 1):
        name = entry.name.encode() + b"\0"
        fields = (number, entry.mode, 0, 0, 1, entry.mtime_s, len(entry.data), 0, 0, 0, 0, len(name), 0)
        head = b"070701" + b"".join(b"%08X" % field for field in fields)
        out.write(head + name + bytes(-(len(head) + len(name)) % 4))
        out.write(entry.data + bytes(-len(entry.data) % 4))


def of_tar(tar: tarfile.TarFile, wanted: re.Pattern[str] | None = None) -> Iterator[Entry]:
    """What stands in a tar, but what the guest has no use for; device files are the kernel's business."""
    for member in tar:
        name = member.name.removeprefix("./")
        if name in ("", ".") or _NOT_NEEDED.match(f"{name}/") or (wanted and not wanted.fullmatch(name)):
            continue
        if member.isdir():
            yield Entry(name, 0o040000 | member.mode)
        elif member.issym():
            yield Entry(name, 0o120777, member.linkname.encode())
        elif member.isreg() or member.islnk():
            file = tar.extractfile(member)
            assert file is not None
            yield Entry(name, 0o100000 | member.mode, file.read(), int(member.mtime))


def of_folder(folder: Path, place: str) -> Iterator[Entry]:
    """The files below `folder`, at `place`."""
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            at = int(path.stat().st_mtime)
            yield Entry(f"{place}/{path.relative_to(folder)}", 0o100644, path.read_bytes(), at)


def with_folders(entries: Iterator[Entry], known: set[str] | None = None) -> Iterator[Entry]:
    """Before each entry the folders that it lies in."""
    known = set() if known is None else known
    for entry in entries:
        for parent in reversed(Path(entry.name).parents):
            if str(parent) != "." and str(parent) not in known:
                known.add(str(parent))
                yield Entry(str(parent), 0o040755)
        if entry.name not in known:
            known.add(entry.name)
            yield entry


def made(suite: str) -> Image:
    """Make what is not there yet. Raises `CalledProcessError` when a step fails; what it said is on standard error."""
    folder = FOLDER / suite
    folder.mkdir(parents=True, exist_ok=True)
    tar, base, kernel, initrd = (folder / name for name in ("root.tar", "base.cpio", "vmlinuz", "initrd"))
    if not tar.exists():
        _say(f"fetching Debian {suite} (a few minutes, once)")
        _debian(suite, tar)
    stamp = ROOT / "pyproject.toml"
    if not (
        base.exists() and kernel.exists() and base.stat().st_mtime > max(tar.stat().st_mtime, stamp.stat().st_mtime)
    ):
        _say("putting the guest together")
        _base(suite, tar, base, kernel)
    with initrd.open("wb") as out:
        with base.open("rb") as archive:
            shutil.copyfileobj(archive, out)
        cpio(with_folders(_code()), out)
    return Image(kernel, initrd)


def _debian(suite: str, tar: Path) -> None:
    new = tar.with_name("new.tar")
    quiet = ("--quiet", "--variant=minbase", f"--include={_PACKAGES}", f"--customize-hook={_FETCH_KERNEL}")
    subprocess.run(["mmdebstrap", *quiet, suite, str(new)], check=True, stdout=sys.stderr)
    new.replace(tar)


def _base(suite: str, tar: Path, base: Path, kernel: Path) -> None:
    site = base.with_name("site")
    shutil.rmtree(site, ignore_errors=True)
    _dependencies(PYTHONS[suite], site)
    new = base.with_name("new.cpio")
    known: set[str] = set()
    with tarfile.open(tar) as root, new.open("wb") as out:
        cpio(with_folders(of_tar(root), known), out)
        package = next(name for name in root.getnames() if re.fullmatch(r"(\./)?root/linux-image-.*\.deb", name))
        file = root.extractfile(package)
        assert file is not None
        deb = base.with_name("linux.deb")
        deb.write_bytes(file.read())
        unpacked = subprocess.run(["dpkg-deb", "--fsys-tarfile", str(deb)], check=True, stdout=subprocess.PIPE).stdout
        with tarfile.open(fileobj=io.BytesIO(unpacked)) as linux:
            image = linux.extractfile(next(name for name in linux.getnames() if "/vmlinuz-" in name))
            assert image is not None
            kernel.write_bytes(image.read())
            cpio(with_folders((_where(entry) for entry in of_tar(linux, _MODULES)), set(known)), out)
        cpio(with_folders(of_folder(site, f"{_PLACE}/site"), set(known)), out)
    new.replace(base)


def _where(entry: Entry) -> Entry:
    """`/lib` is a link to `/usr/lib` in Debian."""
    return entry._replace(name=entry.name if entry.name.startswith("usr/") else f"usr/{entry.name}")


def _dependencies(python: str, site: Path) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["gateway"]]
    pip = [sys.executable, "-m", "pip"]
    if subprocess.run([*pip, "--version"], capture_output=True, check=False).returncode:
        subprocess.run([sys.executable, "-m", "ensurepip"], check=True, stdout=sys.stderr)  # uv makes no pip
    platforms = [f"--platform=manylinux{one}_x86_64" for one in ("_2_28", "_2_17", "2014")]
    how = ("install", "--quiet", "--disable-pip-version-check", f"--target={site}", f"--python-version={python}")
    subprocess.run([*pip, *how, "--only-binary=:all:", *platforms, *wanted], check=True, stdout=sys.stderr)


def _code() -> Iterator[Entry]:
    """Our packages as they lie here, and what tells of their entry points."""
    for package in _CODE:
        yield from of_folder(ROOT / package, f"{_PLACE}/code/{Path(package).name}")
    told = next(Path(sys.prefix).glob("lib/python*/site-packages/golmok-*.dist-info"))
    yield from of_folder(told, f"{_PLACE}/code/{told.name}")
    yield Entry("init", 0o100755, (Path(__file__).parent / "init").read_bytes())


def _say(text: str) -> None:
    print(f"test-bluez: {text}", file=sys.stderr, flush=True)


def missing_packages() -> list[str]:
    """Debian packages that would have to be installed."""
    wanted = {"qemu-system-x86_64": "qemu-system-x86", "mmdebstrap": "mmdebstrap", "dpkg-deb": "dpkg"}
    return [package for program, package in wanted.items() if shutil.which(program) is None]
