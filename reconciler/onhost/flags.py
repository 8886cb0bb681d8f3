"""Which words of a command line a program would refuse, by the flags that it says it has.

A program that lacks a library says so in the same run, and so does the embedded engine without its
package.

Only ELF programs are asked: a script may start something else whatever it is told. Only the list
that llama.cpp generates from its parser (`----- common params -----`, since September 2024; looked
at in b10434) is believed, because other programs leave flags out of theirs. Whatever is not
understood, or late, is no judgement.
"""

from __future__ import annotations

import contextlib
import difflib
import os
import re
import select
import signal
import subprocess
import threading
import time
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from reconciler.onhost import files
from reconciler.onhost.remembered import Remembered

if TYPE_CHECKING:
    from collections.abc import Iterator

GENERATED = "----- common params -----"
SECONDS = 5.0
OUTPUT_LIMIT = 1024 * 1024
REMEMBERED = 64
CLOSE = 0.75
"""How alike a flag must be to have been meant, of 1."""

_NO_CARDS = {
    "CUDA_VISIBLE_DEVICES": "-1",
    "HIP_VISIBLE_DEVICES": "-1",
    "ROCR_VISIBLE_DEVICES": "-1",
}
"""A list of flags needs no accelerator, which may sleep."""

_ENTRY = re.compile(r"(-[^\s,]+(?:, *-[^\s,]+)*)")
_TWO_WORDS = re.compile(r"[A-Z]+ [A-Z]+")
_LIKE_A_FLAG = re.compile(r"--?[A-Za-z]")
_UNLINKED = re.compile(
    r"[Ee]rror (?:while )?loading shared librar(?:ies|y):? .*|version `\S+' not found .*"
)
"""What the dynamic linkers of glibc and musl say on stderr."""

_LINK = "install what is missing, or name its folder with `env: {LD_LIBRARY_PATH: FOLDER}`"
_EMBEDDED = re.compile(r"^error: (the embedded engine needs .*)", re.MULTILINE)
"""What the embedded engine says instead of its flags."""

_REMOVED = re.compile(r"the argument has been removed\.?\s*(.*?)\s*(?:\(env: .*)?$")


class KnownFlag(NamedTuple):
    """How many words follow a flag, and what its program says of it."""

    values: int
    about: str


class FlagListing(NamedTuple):
    """What a program lists, or why it cannot even be run; neither where that is not known."""

    flags: dict[str, KnownFlag]
    broken: str = ""


_known = Remembered[FlagListing](REMEMBERED)
_asking = threading.Lock()


def refusal(request: dict[str, Any], directory: str) -> dict[str, Any]:
    """Answer in words why a program would refuse a command line, empty where nothing says so.

    `program` is the program and the words that make it one, such as an interpreter's script;
    `words` is what follows.
    """
    program = [files.program(request["program"][0], directory)["path"], *request["program"][1:]]
    listing = _listing(program, request.get("env", {}))
    objections = _objections(request["words"], listing.flags, program[-1]) if listing.flags else ()
    return {"problem": "; ".join(objections) or listing.broken}


def _objections(words: list[str], flags: dict[str, KnownFlag], program: str) -> Iterator[str]:
    """Yield a sentence for every flag that is none, and for every value that no flag takes.

    It walks as llama.cpp's parser does.
    """
    skip, bare = 0, ""
    for word in words:
        flag = None if skip else flags.get(_spelt(word))
        if skip:
            skip -= 1
        elif flag is not None:
            yield from _removed(word, flag, program)
            skip, bare = flag.values, "" if flag.values else word
        else:
            yield from _unknown(word, flags, bare, program)
            bare = ""


def _unknown(word: str, flags: dict[str, KnownFlag], bare: str, program: str) -> Iterator[str]:
    """Object to a word that is no flag, and no value of one; `bare` takes none and came before."""
    if _LIKE_A_FLAG.match(word):
        yield f"{word}: unknown to {program}{_instead(word, flags)}"
    elif bare:
        yield f"{word}: {bare} takes no value in {program}; leave {word} out"


def _spelt(word: str) -> str:
    """Spell a long flag as it is listed: llama.cpp takes --ctx_size for --ctx-size."""
    return word.replace("_", "-") if word.startswith("--") else word


def _removed(word: str, flag: KnownFlag, program: str) -> Iterator[str]:
    # llama.cpp goes on to list such a flag, and ends with an error when it is given.
    removed = _REMOVED.search(flag.about)
    if removed:
        yield f"{word}: removed from {program}{'; ' if removed[1] else ''}{removed[1]}"


def _instead(word: str, flags: dict[str, KnownFlag]) -> str:
    name, equals, value = word.partition("=")
    if equals and name in flags:
        return f"; write {name} and {value} as two words"
    near = difflib.get_close_matches(word, flags, n=1, cutoff=CLOSE)
    return f"; did you mean {near[0]}?" if near else ""


def _listing(program: list[str], environment: dict[str, str]) -> FlagListing:
    """Ask a program for its flags, once for as long as its files stay as they are."""
    try:
        files_now = [(path, *_identity(path)) for path in program]
        is_asked = _is_elf(program[0])
    except OSError:
        return FlagListing({})
    if not is_asked:
        return FlagListing({})
    key = (*files_now, *sorted(environment.items()))
    # One at a time: two plans at once must not both start it.
    with _asking:
        return _known.get(key, partial(_asked, program, environment))


def _asked(program: list[str], environment: dict[str, str]) -> FlagListing:
    argv = [*program, "--help"]
    said = _said(argv, environment)
    if said != "":
        return FlagListing(listed(said or ""))
    # Another run for stderr: of two pipes in one, the one that is not read fills up and stops it.
    errors = _said(argv, environment, errors=True) or ""
    return FlagListing({}, _why_not(program[-1], errors))


def _why_not(program: str, said: str) -> str:
    """Tell from its stderr why a program that lists nothing cannot run; "" where unknown."""
    if lacks := _EMBEDDED.search(said):
        return lacks[1]
    missing = _UNLINKED.search(said)
    return f"{program} cannot be run here: {missing[0]}; {_LINK}" if missing else ""


def _identity(path: str) -> tuple[int, ...]:
    status = os.stat(path)
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _is_elf(path: str) -> bool:
    with files.open_to_read(path) as file:
        return file.read(4) == b"\x7fELF"


def listed(text: str) -> dict[str, KnownFlag]:
    """Read the flags out of llama.cpp's own list, none where the text is not of that kind."""
    lines = text.splitlines()
    if GENERATED not in lines:
        return {}
    flags: dict[str, KnownFlag] = {}
    names: list[str] = []
    for line in lines:
        # What is indented goes on about the flags of the last entry; a headline ends it.
        if line.startswith(" "):
            flags.update({name: _continued(flags[name], line) for name in names})
            continue
        names, flag = _entry(line)
        flags.update(dict.fromkeys(names, flag))
    return flags


def _entry(line: str) -> tuple[list[str], KnownFlag]:
    """Read the names of a flag, none where a line begins no entry, and what follows them."""
    entry = None if line.startswith("---") else _ENTRY.match(line)
    if entry is None:
        return [], KnownFlag(0, "")
    names = [name.strip() for name in entry[1].split(",")]
    return names, _described(line[entry.end(1) :])


def _described(rest: str) -> KnownFlag:
    """Read what follows the names of a flag: its values, two spaces, what it does."""
    values, _, about = rest.removeprefix(" ").partition("  ")
    return KnownFlag(_count(values), about.strip())


def _count(values: str) -> int:
    return 2 if _TWO_WORDS.fullmatch(values) else int(bool(values))


def _continued(flag: KnownFlag, line: str) -> KnownFlag:
    return flag._replace(about=f"{flag.about} {line.strip()}")


def _said(argv: list[str], environment: dict[str, str], *, errors: bool = False) -> str | None:
    """Read what a program writes to its stdout, or stderr; None where it does not end.

    Nothing of it is left running.
    """
    child = _started(argv, environment, errors)
    if child is None:
        return None
    with child:
        try:
            stream = child.stderr if errors else child.stdout
            return _read(stream.fileno(), time.monotonic() + SECONDS) if stream else None
        finally:
            # With all that it started: a child of its own would hold the pipe open.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)


def _started(
    argv: list[str], environment: dict[str, str], errors: bool
) -> subprocess.Popen[bytes] | None:
    # llama.cpp reads LLAMA_ARG_...: flags of whatever started us are not those of this command.
    ours = {name: text for name, text in os.environ.items() if not name.startswith("LLAMA_")}
    try:
        # It is the program that is to be started with these words.
        return subprocess.Popen(  # noqa: S603
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL if errors else subprocess.PIPE,
            stderr=subprocess.PIPE if errors else subprocess.DEVNULL,
            start_new_session=True,
            env={**ours, **environment, **_NO_CARDS},
        )
    except (OSError, ValueError):
        return None


def _read(descriptor: int, deadline: float) -> str | None:
    content = b""
    while len(content) < OUTPUT_LIMIT:
        left = max(0.0, deadline - time.monotonic())
        if not select.select([descriptor], [], [], left)[0]:
            return None
        chunk = os.read(descriptor, OUTPUT_LIMIT)
        if not chunk:
            return content.decode("utf-8", "replace")
        content += chunk
    return None
