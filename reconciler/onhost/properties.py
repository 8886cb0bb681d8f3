"""What `systemctl show` prints, read back the way systemd writes it (seen with 252).

A list of paths or assignments is one line of words: a word that needs it stands in double quotes
with C escapes. A list of structures (EnvironmentFiles=, ExecStart=) is a line for each, and nothing
in such a line is quoted.
"""

from __future__ import annotations

import glob
import os
import re

State = dict[str, str]

KEY = "LLAMA_API_KEY"
KEY_FLAGS = ("--api-key", "--api-key-file")
FILE_LIMIT = 64 * 1024
FILES_LIMIT = 64

_WORD = re.compile(r'"((?:[^"\\]|\\.)*)"|(\S+)', re.DOTALL)
_ESCAPE = re.compile(r"\\(x[0-9a-fA-F]{2}|[0-7]{3}|.)", re.DOTALL)
_CONTROLS = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "s": " "}
_SET = re.compile(rf"^\s*{KEY}\s*=\s*\S", re.MULTILINE)


def states(text: str, names: tuple[str, ...]) -> list[State]:
    """Return the properties of every unit that is shown.

    The lines of a property that has several stay together.
    """
    found = []
    for block in text.strip("\n").split("\n\n"):
        state = dict.fromkeys(names, "")
        for line in block.splitlines():
            name, equals, value = line.partition("=")
            state[name] = f"{state[name]}\n{value}" if state.get(name) and equals else value
        found.append(state)
    return found


def words(text: str) -> list[str]:
    """Return the words of a list."""
    return [
        _ESCAPE.sub(_unescaped, quoted) if plain == "" else plain
        for quoted, plain in _WORD.findall(text)
    ]


def _unescaped(match: re.Match[str]) -> str:
    code = match[1]
    if len(code) > 1:
        return chr(int(code[1:], 16) if code[0] == "x" else int(code, 8))
    return _CONTROLS.get(code, code)


def program(state: State) -> str:
    """Return the program that a service runs, "" where it runs none."""
    return state["ExecStart"].partition("path=")[2].partition(" ; argv[]=")[0]


def environment_files(state: State) -> list[str]:
    """Return the files that an environment is read from and that are there.

    A path may be a pattern, and may be missing.
    """
    patterns = [
        line.rpartition(" (ignore_errors=")[0] for line in state["EnvironmentFiles"].splitlines()
    ]
    return [path for pattern in patterns for path in sorted(glob.glob(pattern))][:FILES_LIMIT]


def written_by_hand(state: State) -> list[str]:
    """Return the files that say how a service runs, as far as they are there: its unit, drop-ins and environment."""
    paths = [state["FragmentPath"], *words(state["DropInPaths"]), *environment_files(state)]
    return [path for path in map(os.path.realpath, filter(None, paths)) if os.path.exists(path)]


def key_source(state: State) -> str:
    """Return what makes a service want an API key, as far as this account can read it.

    Never the key.
    """
    if any(
        word.startswith(f"{KEY}=") and word != f"{KEY}=" for word in words(state["Environment"])
    ):
        return f"{KEY} in its Environment="
    for path in environment_files(state):
        if _SET.search(_content(path)):
            return f"{KEY} in {path}"
    given = {word.partition("=")[0] for word in state["ExecStart"].partition("argv[]=")[2].split()}
    return next((f"{flag} in its ExecStart=" for flag in KEY_FLAGS if flag in given), "")


def _content(path: str) -> str:
    try:
        with open(path, "rb") as file:
            return file.read(FILE_LIMIT).decode("utf-8", "replace")
    except OSError:
        return ""
