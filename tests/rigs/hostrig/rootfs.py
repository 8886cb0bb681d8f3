"""The root file system that nspawn hosts boot: a small Debian, built once for each recipe."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import sys
from pathlib import Path
from typing import NamedTuple

from tests.rigs.hostrig.programs import RigError, run

CHECKOUT = Path(__file__).resolve().parents[3]
CACHE = CHECKOUT / ".cache" / "hostrig"


class Debian(NamedTuple):
    """A release that hosts can be: what of this machine runs on it."""

    suite: str
    c_library: tuple[int, int]
    python: tuple[int, int]


DEBIANS = (Debian("bookworm", (2, 36), (3, 11)), Debian("trixie", (2, 41), (3, 13)))

USER, USER_ID = "llm", 1000

PACKAGES = (
    "systemd", "systemd-sysv", "dbus", "openssh-server", "iproute2", "sudo", "libpam-systemd",
    "polkitd", "python3",
    # What wheels of compiled engines link against.
    "libstdc++6", "libgomp1",
)  # fmt: skip

UNUSED = (
    "getty.target",
    "e2scrub_all.timer",
    "apt-daily.timer",
    "apt-daily-upgrade.timer",
    "dpkg-db-backup.timer",
    "fstrim.timer",
)

RECIPE = (
    "--variant=essential",
    f"--include={','.join(PACKAGES)}",
    "--dpkgopt=force-unsafe-io",
    "--dpkgopt=path-exclude=/usr/share/man/*",
    "--dpkgopt=path-exclude=/usr/share/locale/*",
    "--dpkgopt=path-exclude=/usr/share/doc/*",
    '--aptopt=Acquire::Languages "none"',
    '--aptopt=APT::Install-Recommends "false"',
    '--customize-hook=rm -f "$1"/etc/ssh/ssh_host_*',
    (
        f'--customize-hook=cd "$1/etc/systemd/system" && for unit in {" ".join(UNUSED)}; do ln -sf'
        " /dev/null $unit; done"
    ),
    (
        f'--customize-hook=chroot "$1" useradd --create-home --shell /bin/bash --uid {USER_ID}'
        f" --user-group {USER}"
    ),
)


def fitting() -> Debian | None:
    """The oldest release on which this Python runs too, None when there is none.

    Its C library is this machine's; and where it belongs to the machine's own /usr, hosts have no
    other than their own.
    """
    c_library = _numbers((os.confstr("CS_GNU_LIBC_VERSION") or "").removeprefix("glibc "))
    found = (debian for debian in DEBIANS if c_library and c_library <= debian.c_library)
    if Path(sys.base_prefix) == Path("/usr"):
        found = (debian for debian in found if debian.python == sys.version_info[:2])
    return next(found, None)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdigit())


def built() -> Path:
    """The root file system; a new recipe takes half a minute and a Debian mirror."""
    debian = fitting()
    if debian is None:
        raise RigError("the Python that runs this runs on no Debian that hosts can be")
    made = CACHE / hashlib.sha256(json.dumps([debian.suite, RECIPE]).encode()).hexdigest()[:16]
    if made.exists():
        return made
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            _build(debian.suite, made)
    return made


def _build(suite: str, made: Path) -> None:
    unfinished = made.with_name(f"{made.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    run("mmdebstrap", *RECIPE, suite, unfinished)
    unfinished.rename(made)
