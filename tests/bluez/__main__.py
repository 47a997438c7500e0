"""`python -m tests.bluez`; `scripts/test-bluez --help` says what it does."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import threading
from typing import Any, Final

from tests.bluez import image
from tests.bluez.guest import STEPS, VERDICT, WAYS

STARTED: Final = "guest: started"
STARTS_S: Final = 60.0
"""A guest that KVM does not bring so far in this time hangs, as it does within some virtual machines."""
LASTS_S: Final = 1_800.0
_MEMORY_MB: Final = 1_536


def booted(made: image.Image, accelerator: str) -> tuple[bool, dict[str, Any] | None]:
    """Run the guest to its end, and pass on what it says: whether it started, and its verdict."""
    command = ["qemu-system-x86_64", "-accel", accelerator, "-m", str(_MEMORY_MB), "-smp", "2", "-nographic"]
    command += ["-no-reboot", "-nic", "none", "-kernel", str(made.kernel), "-initrd", str(made.initrd)]
    command += ["-cpu", "host" if accelerator == "kvm" else "max", "-append", "console=ttyS0 panic=-1 quiet"]
    started, verdict = False, None
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, errors="replace") as qemu:
        assert qemu.stdout is not None
        clock = threading.Timer(STARTS_S if accelerator == "kvm" else LASTS_S, qemu.kill)
        clock.start()
        for line in qemu.stdout:
            print(line, end="", file=sys.stderr, flush=True)
            if STARTED in line and not started:
                started = True
                clock.cancel()
                clock = threading.Timer(LASTS_S, qemu.kill)
                clock.start()
            if line.startswith(VERDICT):
                verdict = json.loads(line.removeprefix(VERDICT))
        clock.cancel()
    return started, verdict


def wrong_in(verdict: dict[str, Any] | None) -> list[str]:
    """What was not as it must be; every step of every way must have said that it was well."""
    if verdict is None:
        return ["the guest ended without a verdict"]
    expected = [(way, step.__name__) for way in WAYS for step in STEPS]
    said = {(way, step): str(verdict.get(way, {}).get(step, "was not run")) for way, step in expected}
    return [f"{way}: {step}: {what}" for (way, step), what in said.items() if not what.startswith("ok")]


def main() -> int:
    """Make the machine, run it, say how it went."""
    parser = argparse.ArgumentParser(
        prog="scripts/test-bluez",
        description="Runs the real gateway in a QEMU machine with Debian's kernel and bluetoothd and a simulated "
        "controller: sensors, buttons, replays, and bluetoothd and radio that go and come. Prints one JSON document.",
        epilog="Exit codes: 0 all is well, 1 it is not, 2 it could not be run.",
    )
    parser.add_argument("--suite", choices=sorted(image.PYTHONS), default="bookworm", help="of Debian (bookworm)")
    parser.add_argument("--accel", choices=["auto", "kvm", "tcg"], default="auto", help="what QEMU runs it with")
    options = parser.parse_args()
    if missing := image.missing_packages():
        print(f"test-bluez: missing: sudo apt-get install {' '.join(missing)}", file=sys.stderr)
        return 2
    try:
        made = image.made(options.suite)
    except subprocess.CalledProcessError as error:
        print(f"test-bluez: {error.cmd[0]} failed with exit code {error.returncode}", file=sys.stderr)
        return 2
    has_kvm = os.access("/dev/kvm", os.R_OK | os.W_OK)
    started, verdict = False, None
    if options.accel == "kvm" or (options.accel == "auto" and has_kvm):
        started, verdict = booted(made, "kvm")
    if not started and options.accel != "kvm":
        started, verdict = booted(made, "tcg")
    wrong = wrong_in(verdict)
    print(json.dumps({"passed": not wrong, "wrong": wrong, **(verdict or {})}, indent=1))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
