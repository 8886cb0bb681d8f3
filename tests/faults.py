"""What makes a day bad around a stack: files, git, weights, the disk; and how it goes away."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeAlias

from tests import needs
from tests.engine import weights_in
from tests.repository import git
from tests.running import until
from tests.stack import COMMAND_SECONDS, Stack

Fault: TypeAlias = Callable[[Stack], None]

BOTH = ("desired.yaml", "inventory.yaml")
SMALL = 1024 * 1024


@contextmanager
def under_limit(limit: int, value: int) -> Iterator[None]:
    """Set a limit of this process; root has no way around it either."""
    before = resource.getrlimit(limit)
    resource.setrlimit(limit, (value, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(limit, before)


def other(here: Stack) -> str:
    """Return the model that does not serve."""
    return "tiny-a" if "tiny-b" in here.engines() else "tiny-b"


def file(here: Stack, name: str) -> Path:
    return here.folder / "state" / name


def cleared(path: Path) -> Path:
    """Return a path at which nothing stands."""
    if path.is_dir() and not path.is_symlink():
        path.rmdir()
    path.unlink(missing_ok=True)
    return path


def fixed(here: Stack) -> None:
    """Write both files as they should be, with the other model."""
    for name in BOTH:
        cleared(file(here, name))
    here.inventory()
    here.desire(other(here))


def writing(content: bytes, *names: str) -> Fault:
    """Return what fills files, both when none is named; the word PORT stands for the port."""

    def write(here: Stack) -> None:
        for name in names or BOTH:
            file(here, name).write_bytes(content.replace(b"PORT", str(here.port).encode()))

    return write


def missing(here: Stack) -> None:
    for name in BOTH:
        file(here, name).unlink()


def unreadable(here: Stack) -> None:
    """Leave nothing that can be read: root reads every file, and nobody a directory."""
    for name in BOTH:
        if os.geteuid():
            file(here, name).chmod(0)
        else:
            cleared(file(here, name)).mkdir()


def circular(here: Stack) -> None:
    for name in BOTH:
        cleared(file(here, name)).symlink_to(name)


def gone(here: Stack) -> None:
    (here.folder / "state").rename(here.folder / "away")


def back(here: Stack) -> None:
    (here.folder / "away").rename(here.folder / "state")
    fixed(here)


def wish(here: Stack) -> bytes:
    """Return desired.yaml with the other model."""
    return f"version: 1\npower: on\nactive: {other(here)}\n".encode()


def with_a_mark(here: Stack) -> None:
    file(here, "desired.yaml").write_bytes(b"\xef\xbb\xbf" + wish(here))


def with_other_line_ends(here: Stack) -> None:
    for name in BOTH:
        file(here, name).write_bytes(
            file(here, name).read_bytes().replace(b"\r", b"").replace(b"\n", b"\r\n")
        )
    file(here, "desired.yaml").write_bytes(wish(here).replace(b"\n", b"\r\n"))


def from_the_future(here: Stack) -> None:
    """Save while the clock was a day ahead."""
    beside = file(here, "desired.new")
    beside.write_bytes(wish(here))
    tomorrow = beside.stat().st_mtime + 86_400
    os.utime(beside, (tomorrow, tomorrow))
    beside.replace(file(here, "desired.yaml"))


def by_links_of_kubernetes(here: Stack) -> None:
    """Move a link that both files lie behind, at once, as mounted ConfigMaps do."""
    state = here.folder / "state"
    contents = {name: file(here, name).read_bytes() for name in BOTH}
    versions = [state / f"..{number}" for number in range(2)]
    for folder in versions:
        folder.mkdir()
        for name, content in contents.items():
            (folder / name).write_bytes(content)
    (versions[1] / "desired.yaml").write_bytes(wish(here))
    (state / "..data").symlink_to(versions[0].name)
    for name in BOTH:
        cleared(file(here, name)).symlink_to(f"..data/{name}")
    (state / "..new").symlink_to(versions[1].name)
    (state / "..new").replace(state / "..data")


def by_a_link_elsewhere(here: Stack) -> None:
    """Link a file to a place far away where another link is moved, as managers of dotfiles do."""
    away = here.folder / "dotfiles"
    for name, content in (("one", file(here, "desired.yaml").read_bytes()), ("two", wish(here))):
        (away / name).mkdir(parents=True)
        (away / name / "desired.yaml").write_bytes(content)
    (away / "current").symlink_to("one")
    cleared(file(here, "desired.yaml")).symlink_to(away / "current" / "desired.yaml")
    (away / "next").symlink_to("two")
    (away / "next").replace(away / "current")


def _clash(here: Stack, *words: str) -> None:
    """Let git stop at a conflict in desired.yaml, after two commits that cannot both be."""
    git(here.folder, "add", "-A", "state")
    git(here.folder, "commit", "-qm", "As it is", "--allow-empty")
    serving = next(iter(here.engines()))
    git(here.folder, "checkout", "-qB", "theirs")
    here.desired(f"version: 1\npower: on\nactive: [{serving}]\n")
    git(here.folder, "commit", "-qam", "Theirs")
    git(here.folder, "checkout", "-q", "-")
    here.desired(f"version: 1\npower: on\nactive: [{serving}] # ours\n")
    git(here.folder, "commit", "-qam", "Ours")
    with suppress(subprocess.CalledProcessError):
        git(here.folder, *words)


def rebase(here: Stack) -> None:
    _clash(here, "rebase", "-q", "theirs")


def merge(here: Stack) -> None:
    _clash(here, "merge", "-q", "theirs")


def resolved(*words: str) -> Fault:
    """Return what settles a conflict by asking for the other model, and ends it."""

    def resolve(here: Stack) -> None:
        fixed(here)
        git(here.folder, "add", "-A", "state")
        git(here.folder, "-c", "core.editor=true", *words)

    return resolve


def committed_marks(here: Stack) -> None:
    merge(here)
    git(here.folder, "commit", "-qam", "Merged, somehow")


def stale_lock(here: Stack) -> None:
    (here.folder / ".git" / "index.lock").touch()
    here.desire(other(here))


def unlocked(here: Stack) -> None:
    (here.folder / ".git" / "index.lock").unlink()


def weights(damage: Callable[[Path], object]) -> Fault:
    """Return what makes tiny-b a model with damaged weights, and asks for it."""

    def spoil(here: Stack) -> None:
        path = weights_in(here.folder)
        damage(path)
        here.inventory(engine=f"kind: embedded, weights: {path}")
        here.desire("tiny-b")

    return spoil


def whole_weights(here: Stack) -> None:
    weights_in(here.folder)


def program(damage: Callable[[Path], object]) -> Fault:
    """Return what makes tiny-b a model with a program that cannot be run, and asks for it."""

    def spoil(here: Stack) -> None:
        here.inventory(engine=here.frail_engine())
        damage(here.folder / "bin" / "llama-server")
        here.desire("tiny-b")

    return spoil


def asked_again(fix: Fault) -> Fault:
    """A fix followed by apply, which is quicker than to wait until the watch looks again."""

    def both(here: Stack) -> None:
        fix(here)
        here.apply()

    return both


def whole_program(here: Stack) -> None:
    here.frail_engine()


@contextmanager
def disk(folder: Path) -> Iterator[bool]:
    """Make a folder a small file system, and tell whether this process may mount one."""
    folder.mkdir()
    made = _mount("-t", "tmpfs", "-o", f"size={SMALL}", "tmpfs", str(folder))
    try:
        yield made
    finally:
        if made:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)  # noqa: S607 - as found on the PATH


def _mount(*words: str) -> bool:
    return (
        subprocess.run(
            [needs.program("mount"), *words], capture_output=True, check=False
        ).returncode
        == 0
    )


def full(folder: Path) -> None:
    """Take all space of a file system."""
    with (folder / "filler").open("wb", buffering=0) as filler, suppress(OSError):
        while True:
            filler.write(bytes(4096))


def emptied(folder: Path) -> None:
    (folder / "filler").unlink(missing_ok=True)


def limited(pid: int, folder: Path) -> None:
    """Let the kernel refuse a process every byte that its journal would grow by."""
    _, most = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(
        pid,
        resource.RLIMIT_FSIZE,
        ((folder / "journal" / "journal.sqlite-wal").stat().st_size, most),
    )


def unlimited(pid: int) -> None:
    """End that."""
    _, most = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (most, most))


def read_only(folder: Path, *, is_disk: bool) -> None:
    """Let nothing be written to a file system, or where nobody may mount, to the lock."""
    if is_disk:
        assert _mount("-o", "remount,ro", str(folder))
    else:
        (folder / "lock").chmod(0o400)


def writable(folder: Path, *, is_disk: bool) -> None:
    if is_disk:
        assert _mount("-o", "remount,rw", str(folder))
    else:
        (folder / "lock").chmod(0o600)


def damaged(folder: Path) -> None:
    """Flip one bit of a row."""
    for path in sorted((folder / "journal").glob("journal.sqlite*")):
        content = path.read_bytes()
        path.write_bytes(content.replace(b'"forward"', b'"forwarb"'))


def aside(folder: Path) -> None:
    """Move a damaged journal as the message says."""
    shutil.move(folder / "journal", folder / "journal.damaged")


def taken(folder: Path) -> None:
    shutil.move(folder / "journal", folder / "away")


def returned(folder: Path) -> None:
    shutil.move(folder / "away", folder / "journal")


def said(here: Stack, sentence: str, after: int) -> None:
    """Wait until the watch has said a sentence, beyond what it had said before."""
    until(lambda: sentence in here.watched()[after:], within=COMMAND_SECONDS)
