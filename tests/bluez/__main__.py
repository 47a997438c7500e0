"""`python -m tests.bluez`; `scripts/test-bluez --help` says what it does."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from typing import Any, Final

from tests.bluez import image
from tests.bluez.guest import VERDICT

LASTS_S: Final = 1_800.0


def booted(made: image.Image, accelerator: str, lasts_s: float = LASTS_S) -> tuple[dict[str, Any] | None, str]:
    """Run the guest to its end; its verdict, and all that it said."""
    command = ["qemu-system-x86_64", "-accel", accelerator, "-m", "1536", "-smp", "2", "-nographic", "-no-reboot"]
    command += [
        "-cpu",
        "host" if accelerator == "kvm" else "max",
        "-kernel",
        str(made.kernel),
        "-initrd",
        str(made.initrd),
    ]
    command += ["-append", "console=ttyS0 panic=-1 quiet", "-nic", "none"]
    said, verdict = [], None
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, errors="replace"
    ) as qemu:
        assert qemu.stdout is not None
        end_s = time.monotonic() + lasts_s
        for line in qemu.stdout:
            said.append(line)
            print(line, end="", file=sys.stderr, flush=True)
            if line.startswith(VERDICT):
                verdict = json.loads(line.removeprefix(VERDICT))
            if time.monotonic() > end_s:
                qemu.kill()
    return verdict, "".join(said)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--suite", default="bookworm")
    parser.add_argument("--accel", default="tcg")
    options = parser.parse_args()
    verdict, _ = booted(image.made(options.suite), options.accel)
    print(json.dumps(verdict, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
