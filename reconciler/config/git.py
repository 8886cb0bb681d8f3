"""Git: what it knows of exactly the bytes that were read.

The ids of those bytes are compared with HEAD's tree, so nothing depends on the moment at which git
looks. Hooks, prompts, locks and pagers are off, and an environment left by a calling git is not
passed on.
"""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

from reconciler.errors import Unreachable
from reconciler.model.reason import Reason

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

GIT_PATIENCE = 5.0
"""Seconds that git may take; a repository that cannot answer by then counts as none."""

COMMIT_PATIENCE = 120.0
"""Seconds that a commit may take: the operator's hooks, and a person at their key."""

_OF_A_CALLING_GIT = {"GIT_DIR", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_WORK_TREE"}
_LONGEST_TEXT = 200
_SHA1_WIDTH = 40
_MISSING = " missing"
_LAST = ("log", "-1", "--no-show-signature", "--format=%an%x00%s")
_DUBIOUS = re.compile(r"dubious ownership in repository at '(.+)'")

# A hook or a file system monitor is a program that the repository names: no look may run it.
_QUIET = ("core.hooksPath=/dev/null", "core.fsmonitor=false", "core.safecrlf=false")

# No lock: it would look as if git were writing. A path is a path, whatever characters are in it.
_OPTIONS = (
    "--no-pager",
    "--no-optional-locks",
    "--literal-pathspecs",
    *(word for setting in _QUIET for word in ("-c", setting)),
)

# What a partial clone lacks is not fetched over the network; a password is never asked for.
_ENVIRONMENT = {"GIT_TERMINAL_PROMPT": "0", "GIT_NO_LAZY_FETCH": "1", "LC_ALL": "C.UTF-8"}

_TRACES = ("HEAD", "index", "logs/HEAD")
_HALF_WAY = {
    "rebase-merge": "a rebase",
    "rebase-apply": "a rebase, or of applying patches",
    "MERGE_HEAD": "a merge",
    "CHERRY_PICK_HEAD": "a cherry-pick",
    "REVERT_HEAD": "a revert",
    "BISECT_LOG": "a bisect",
}
_WRITING = {"index.lock": "writing its index; if no git runs there, remove index.lock"}


State: TypeAlias = Literal["committed", "modified", "untracked", "not in git"]


class Trace(NamedTuple):
    """What git knows: HEAD, and who last committed one of the files, and why.

    `trouble` is why it could not be asked.
    """

    state: State
    commit: str = ""
    author: str = ""
    subject: str = ""
    trouble: Reason = Reason()


class _SilentError(Exception):
    """The reason why git did not answer, with what to do."""

    def __init__(self, found: str, fix: str) -> None:
        self.reason = Reason(found, fix)
        super().__init__(self.reason)


def trace(contents: Mapping[Path, bytes]) -> Trace:
    """Ask what git knows of these contents of these files.

    Without a repository, or an answer of git, that is `not in git`; where there is a repository,
    with the trouble.
    """
    paths = {Path(os.path.realpath(path)): content for path, content in contents.items()}
    directory = next(iter(paths)).parent
    names = {_relative(path, directory): content for path, content in paths.items()}
    folder = _folder(directory)
    if folder is None:
        return Trace("not in git")
    if not os.path.isdir(folder):
        return Trace("not in git", trouble=_missing(folder))
    try:
        ids, last = _of_head(directory, names)
    except _SilentError as error:
        return Trace("not in git", trouble=error.reason)
    commit, *blobs = ids.splitlines()
    if commit.endswith(_MISSING):
        return Trace("untracked")
    author, subject = _author_and_subject(last)
    return Trace(_state(directory, names, blobs), commit, author, subject)


def _author_and_subject(last: str) -> tuple[str, str]:
    author, _, subject = last.rstrip("\n").partition("\0")
    return _shown(author), _shown(subject)


def _of_head(directory: Path, names: Iterable[str]) -> tuple[str, str]:
    """Ask for the ids of HEAD and of files in it, and for who last committed one of them and why.

    Raise _SilentError.
    """
    questions = "".join(f"{name}\n" for name in ("HEAD", *(f"HEAD:{name}" for name in names)))
    with ThreadPoolExecutor(1) as beside:
        # Each takes git some milliseconds to start. Should HEAD move in between, that is an event
        # which reads all again.
        history = beside.submit(_git, directory, [*_LAST, "HEAD", "--", *names])
        ids = _asked(directory, ["cat-file", "--batch-check=%(objectname)"], questions.encode())
        return ids, history.result() or ""


def _state(directory: Path, names: Mapping[str, bytes], blobs: Sequence[str]) -> State:
    if any(blob.endswith(_MISSING) for blob in blobs):
        return "untracked"
    pairs = zip(names.items(), blobs, strict=True)
    same = all(_is_blob(directory, name, content, blob) for (name, content), blob in pairs)
    return "committed" if same else "modified"


def commit(path: Path, message: str) -> None:
    """Commit one file alone, unless git has it as it is.

    Raise Unreachable with what git said and what to do.
    """
    if not _as_operator(path, "status", "--porcelain"):
        return
    _as_operator(path, "add")
    _as_operator(path, "commit", "--quiet", "--only", f"--message={message}")


def _as_operator(path: Path, *words: str) -> bytes:
    """Run git for one file, as the operator would: with their hooks, identity and signature."""
    environment = {
        name: value for name, value in os.environ.items() if name not in _OF_A_CALLING_GIT
    }
    command = ["git", "-C", str(path.parent), "--literal-pathspecs", *words, "--", path.name]
    try:
        done = subprocess.run(  # noqa: S603 - a fixed program with a list of words
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=True,
            timeout=COMMIT_PATIENCE,
            env={**environment, "GIT_TERMINAL_PROMPT": "0"},
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise Unreachable(
            f"git did not commit {path}: {_heard(error)}. The file stays as it was written, nothing"
            " was applied: fix what git says, then say the same once more, or commit it yourself"
            " and `reconciler apply`"
        ) from error
    return done.stdout


def _heard(error: Exception) -> str:
    said: bytes = getattr(error, "stderr", None) or str(error).encode()
    lines = (line.strip() for line in said.decode("utf-8", "replace").splitlines())
    return "; ".join(filter(None, lines))


def _missing(folder: Path) -> Reason:
    return Reason(
        f"the repository of the files is not here: .git names {folder}",
        "mount that at the same place, or where it was moved, `git worktree repair` there",
    )


def is_signed(directory: Path, commit: str) -> bool:
    """Whether git vouches for the signature of a commit."""
    return _git(directory, ["verify-commit", commit]) is not None


def half_way(directory: Path) -> str:
    """Tell what git is in the middle of, empty when it is at rest."""
    # In between, one of both files may be of another commit than the other.
    return _found(directory, {**_HALF_WAY, **_WRITING})


def unfinished(directory: Path) -> Reason:
    """Tell which work of a person git is in the middle of, and how that ends.

    Empty when it is at rest, or just writing.
    """
    found = _found(directory, _HALF_WAY)
    return Reason(found, f"end that (`git -C {directory} status` says how)") if found else Reason()


def _found(directory: Path, traces: Mapping[str, str]) -> str:
    folder = _folder(directory)
    if folder is None:
        return ""
    found = next((what for name, what in traces.items() if os.path.exists(folder / name)), "")
    return f"git is in the middle of {found} ({folder})" if found else ""


def traces(directory: Path) -> tuple[Path, ...]:
    """List the files that change when git commits, checks out or moves on."""
    # What git says of the pair may change by that while the pair itself does not.
    folder = _folder(directory)
    return () if folder is None else tuple(folder / name for name in _TRACES)


def _folder(directory: Path) -> Path | None:
    """Find where git keeps what it knows of a working tree."""
    # Without git, which takes some milliseconds to start, at every event of a watch. In a linked
    # working tree `.git` is a file, which names the place.
    real = Path(os.path.realpath(directory))
    for parent in (real, *real.parents):
        found = parent / ".git"
        if os.path.isdir(found):
            return found
        if os.path.isfile(found):
            return _named_in(found)
    return None


def _named_in(file: Path) -> Path | None:
    try:
        return file.parent / file.read_text(errors="replace").removeprefix("gitdir:").strip()
    except (OSError, ValueError):
        return None


def blob_id(content: bytes, width: int) -> str:
    """The id git gives to a file with this content.

    `width` tells SHA-1 (40) from SHA-256 (64) repositories.
    """
    blob = b"blob %d\0%b" % (len(content), content)
    if width > _SHA1_WIDTH:
        return hashlib.sha256(blob).hexdigest()
    return hashlib.sha1(blob, usedforsecurity=False).hexdigest()


def _is_blob(directory: Path, name: str, content: bytes, blob: str) -> bool:
    if blob_id(content, len(blob)) == blob:
        return True
    # As git would store it: line endings may be converted on the way in.
    stored = _git(directory, ["hash-object", "--stdin", "--path", name], content)
    return stored is not None and stored.strip() == blob


def _relative(path: Path, directory: Path) -> str:
    return f"./{os.path.relpath(path, directory)}"


def _shown(text: str) -> str:
    return "".join(character for character in text[:_LONGEST_TEXT] if character.isprintable())


def _git(directory: Path, words: list[str], given: bytes = b"") -> str | None:
    """Ask git, None for a no, or no answer."""
    try:
        return _asked(directory, words, given)
    except _SilentError:
        return None


def _asked(directory: Path, words: list[str], given: bytes = b"") -> str:
    """Ask git; raise _SilentError."""
    try:
        return _run(directory, words, given).decode("utf-8", "replace")
    except (FileNotFoundError, NotADirectoryError) as error:
        raise _SilentError(
            "git is not installed here, or not on the PATH of this process", "install it"
        ) from error
    except subprocess.CalledProcessError as error:
        raise _refusal(directory, error.stderr.decode("utf-8", "replace")) from error
    except (OSError, subprocess.SubprocessError) as error:
        raise _SilentError(
            f"git does not answer ({type(error).__name__})", _says_more(directory)
        ) from error


def _run(directory: Path, words: list[str], given: bytes) -> bytes:
    command = ["git", "-C", str(directory), *_OPTIONS, *words]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    done = subprocess.run(  # noqa: S603 - a fixed program with a list of words
        command,
        input=given,
        capture_output=True,
        check=True,
        timeout=GIT_PATIENCE,
        env={**environment, **_ENVIRONMENT},
    )
    return done.stdout


def _says_more(directory: Path) -> str:
    return f"`git -C {directory} status` says more"


def _refusal(directory: Path, words: str) -> _SilentError:
    """Word why git refuses, in its own words, and what to do."""
    lines = [line.strip().removeprefix("fatal: ") for line in words.splitlines() if line.strip()]
    said = _shown(lines[0]) if lines else "it says nothing"
    dubious = _DUBIOUS.search(words)
    if dubious is None:
        return _SilentError(f"git refuses: {said}", _says_more(directory))
    command = f"git config --global --add safe.directory {shlex.quote(dubious[1])}"
    return _SilentError(
        f"git refuses: {said}, which belongs to another user",
        f"`{command}` as the user that runs reconciler",
    )
