"""What `systemctl show` prints, read back the way systemd writes it (seen with 252).

A list of paths or assignments is one line of words: a word that needs it stands in double quotes
with C escapes. A list of structures (EnvironmentFiles=, ExecStart=) is a line for each, and nothing
in such a line is quoted.
"""

from __future__ import annotations

import glob
import os
import re
import shutil

State = dict[str, str]

KEY = "LLAMA_API_KEY"
OWN_FILES = ("RootDirectory", "RootImage", "BindPaths", "BindReadOnlyPaths", "ExecSearchPath")
"""What lets a service find other files than its host does under the same names."""

_SEARCHED = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""Where systemd finds a program without a slash (systemd.service(5), COMMAND LINES)."""

_PROC = "/proc/"
KEY_FLAGS = ("--api-key", "--api-key-file")
FILE_LIMIT = 64 * 1024
FILES_LIMIT = 64

_WORD = re.compile(r'"((?:[^"\\]|\\.)*)"|(\S+)', re.DOTALL)
_ESCAPE = re.compile(r"\\(x[0-9a-fA-F]{2}|[0-7]{3}|.)", re.DOTALL)
_CONTROLS = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "s": " "}
_SET = re.compile(rf"^\s*{KEY}\s*=\s*\S", re.MULTILINE)


def states(text: str, names: tuple[str, ...]) -> list[State]:
    """Read the properties of every unit that is shown.

    The lines of a property that has several stay together.
    """
    text = text.strip("\n")
    # All begin with the same property; the words of a program may hold an empty line too.
    first = re.escape(text.partition("=")[0])
    return [_state(block, names) for block in re.split(rf"\n\n(?={first}=)", text)]


def _state(block: str, names: tuple[str, ...]) -> State:
    state = dict.fromkeys(names, "")
    for line in block.splitlines():
        name, equals, value = line.partition("=")
        before = state.get(name)
        state[name] = f"{before}\n{value}" if before and equals else value
    return state


def words(text: str) -> list[str]:
    """Split a list into its words."""
    found = _WORD.findall(text)
    return [plain or _ESCAPE.sub(_unescaped, quoted) for quoted, plain in found]


def _unescaped(match: re.Match[str]) -> str:
    code = match[1]
    return _CONTROLS.get(code, code) if len(code) == 1 else _numbered(code)


def _numbered(code: str) -> str:
    """Find the character of `x41` or `101`."""
    return chr(int(code[1:], 16)) if code.startswith("x") else chr(int(code, 8))


def program(state: State) -> str:
    """Find the program that a service runs, "" where it runs none."""
    return found(state["ExecStart"].partition("path=")[2].partition(" ; argv[]=")[0])


def found(path: str) -> str:
    """Find the file of a program where systemd looks for it, its own name where that is unknown."""
    return path if "/" in path else shutil.which(path, path=_SEARCHED) or path


def sees_its_host(path: str, state: State) -> bool:
    """Whether a path is the same file for a service as for its host."""
    return path.startswith("/") and not any(map(state.get, OWN_FILES))


def environment_files(state: State) -> list[str]:
    """List the files that an environment is read from and that are there.

    A path may be a pattern, and may be missing.
    """
    found = [path for line in state["EnvironmentFiles"].splitlines() for path in _matching(line)]
    return found[:FILES_LIMIT]


def _matching(line: str) -> list[str]:
    return sorted(glob.glob(line.rpartition(" (ignore_errors=")[0]))


def missing_environment(state: State) -> str:
    """Name a file that has to be there for a start and is not, "" where none is missed."""
    for line in state["EnvironmentFiles"].splitlines():
        path, _, ignored = line.rpartition(" (ignore_errors=")
        if ignored == "no)" and _is_missing(path) and not _matching(line):
            return path
    return ""


def _is_missing(path: str) -> bool:
    try:
        os.stat(path)
    except FileNotFoundError:
        return True
    except OSError:
        # What this account may not see may be there.
        pass
    return False


def written_by_hand(state: State) -> list[str]:
    """List the files that say how a service runs: its unit, drop-ins and environment.

    Only those that are there.
    """
    paths = [state["FragmentPath"], *words(state["DropInPaths"]), *environment_files(state)]
    return [path for path in map(_edited, filter(None, paths)) if os.path.exists(path)]


def _edited(path: str) -> str:
    """Find the file that is edited where a drop-in is a link."""
    # Through /proc a container's files are reached, whose links lead elsewhere from here.
    return path if path.startswith(_PROC) else os.path.realpath(path)


def key_source(state: State) -> str:
    """Tell what makes a service want an API key, as far as this account can read it.

    Never the key.
    """
    if any(_sets_key(word) for word in words(state["Environment"])):
        return f"{KEY} in its Environment="
    for path in environment_files(state):
        if _SET.search(_content(path)):
            return f"{KEY} in {path}"
    given = _flags(state["ExecStart"])
    return next((f"{flag} in its ExecStart=" for flag in KEY_FLAGS if flag in given), "")


def _sets_key(assignment: str) -> bool:
    name, _, value = assignment.partition("=")
    return name == KEY and value != ""


def _flags(started: str) -> set[str]:
    typed = started.partition("argv[]=")[2].split()
    return {word.partition("=")[0] for word in typed}


def _content(path: str) -> str:
    try:
        with open(path, "rb") as file:
            return file.read(FILE_LIMIT).decode("utf-8", "replace")
    except OSError:
        return ""
