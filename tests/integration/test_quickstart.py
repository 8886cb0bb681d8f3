"""The commands of docs/quickstart.md, run one after the other, print what it shows.

They run in namespaces of their own, where port 8080 is free and nobody else serves. Compared is the
shape: pids, times, names of commits and the width of columns may differ, and `...` stands for any
lines.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, NamedTuple

import pytest

from tests.engine import EMBEDDED_SERVER
from tests.needs import Wanting, need, need_root
from tests.rules.tree import ROOT

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

PAGE = ROOT / "docs" / "quickstart.md"
HOME = "/srv/llm"
"""What the page calls the folder in which everything lies."""

SECONDS = 540
NAMESPACES = (
    "unshare",
    "--pid",
    "--net",
    "--uts",
    "--mount",
    "--fork",
    "--kill-child",
    "--mount-proc",
)
OWN = NAMESPACES if os.geteuid() == 0 else (*NAMESPACES, "--user", "--map-root-user")
BEGIN = "hostname attic; ip link set lo up"


VARYING = (
    (r"\b[0-9a-f]{7,40}\b", "COMMIT"),
    (r"\d{4}-\d\d-\d\d \d\d:\d\d(:\d\d UTC)?", "MOMENT"),
    (r"^ *\d+(?= +MOMENT)", "RUN"),
    (r"\b\d+(\.\d+)? s\b", "DURATION"),
    (r"\b(pid|kill|run|slot) \d+", r"\1 NUMBER"),
    (r" by pid NUMBER of \w+", " by pid NUMBER of USER"),
)


class Told(NamedTuple):
    """A command, and what is printed after it."""

    command: str
    lines: tuple[str, ...]


def told(page: str) -> list[Told]:
    """The commands of a page, each with what it shows; `$` after an empty line is output."""
    found: list[Told] = []
    for block in re.findall(r"^```console\n(.*?)^```", page, re.MULTILINE | re.DOTALL):
        for part in re.split(r"(?<!\n\n)^\$ ", block, flags=re.MULTILINE)[1:]:
            lines = part.rstrip("\n").splitlines()
            more = next(
                (number for number, line in enumerate(lines[1:], 1) if not line.startswith("> ")),
                len(lines),
            )
            command = "\n".join([lines[0], *(line[2:] for line in lines[1:more])])
            found.append(Told(command, tuple(line for line in lines[more:] if line)))
    return found


def script(commands: Sequence[str]) -> str:
    """A program that runs commands as a person would, and names each and any bad end."""
    parts = [BEGIN]
    for number, command in enumerate(commands):
        parts += [f"echo @@{number}", command]
        if not command.rstrip().endswith("&"):
            parts.append('code=$?; [ "$code" = 0 ] || echo "[exit $code]"')
    return "\n".join([*parts, "echo @@end", ""])


def run(commands: Sequence[str], home: Path) -> list[Told]:
    """Run commands in a home of their own and return what each printed."""
    (home / "bin").mkdir(parents=True)
    server = home / "bin" / "llama-server"
    server.write_text(f"#!{sys.executable}\n{EMBEDDED_SERVER.read_text()}")
    server.chmod(0o755)
    shutil.copy(EMBEDDED_SERVER.with_name("weights.py"), home / "bin")
    (home / ".gitconfig").write_text("[user]\nname = Ana\nemail = ana@example.org\n")
    kept = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(("GIT_", "XDG_", "RECONCILER_"))
    }
    # The link itself, not its target.
    path = f"{home / 'bin'}:{os.path.dirname(sys.executable)}:{kept['PATH']}"  # noqa: PTH120
    done = subprocess.run(
        [*OWN, "bash", "-c", script([command.replace(HOME, str(home)) for command in commands])],
        cwd=home, env={**kept, "HOME": str(home), "PATH": path, "PYTHONPATH": str(ROOT)},
        check=False, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, timeout=SECONDS,
    )  # fmt: skip
    parts = re.split(r"^@@(?:\d+|end)\n", done.stdout.replace(str(home), HOME), flags=re.MULTILINE)[
        1:-1
    ]
    return [
        Told(
            command,
            tuple(
                line.rstrip() for line in part.splitlines() if line and " of at most " not in line
            ),
        )
        for command, part in zip(commands, parts, strict=True)
    ]


def shape(line: str) -> str:
    """A line without what differs from run to run: commits, moments, durations, pids, numbers."""
    for found, word in VARYING:
        line = re.sub(found, word, line)
    return " ".join(line.split())


def fits(shown: Sequence[str], printed: Sequence[str]) -> bool:
    """Return whether lines are those that are shown, where `...` stands for any."""
    pieces: list[list[str]] = [[]]
    for line in shown:
        if line == "...":
            pieces.append([])
        else:
            pieces[-1].append(shape(line))
    rest = [shape(line) for line in printed]
    first, *others = pieces
    if rest[: len(first)] != first or (not others and len(rest) != len(first)):
        return False
    rest = rest[len(first) :]
    for piece in others:
        at = [
            start
            for start in range(len(rest) - len(piece) + 1)
            if rest[start : start + len(piece)] == piece
        ]
        if not at:
            return False
        last = piece is others[-1] and bool(piece)
        start = at[-1] if last else at[0]
        rest = rest[start + len(piece) :]
        if last and rest:
            return False
    return True


@pytest.mark.parametrize(
    ("shown", "printed", "fitting"),
    [
        ("pid 1 b", "pid 22   b", True),
        ("1 read", "2 read", False),
        ("desired 4f1c2ab", "desired 0aa2c3d", True),
        ("a", "b", False),
        ("a", "a|b", False),
        ("a|b", "a", False),
        ("...|b", "x|b|b", True),
        ("a|...", "a|x|y", True),
        ("a|...|c", "a|x|d", False),
        ("a|...|c", "a|c|d", False),
        ("...", "", True),
    ],
)
def test_a_shape_fits_what_differs_only_from_run_to_run(
    shown: str, printed: str, *, fitting: bool
) -> None:
    assert fits(shown.split("|"), printed.split("|") if printed else []) is fitting


@pytest.mark.timeout(SECONDS + 60)
def test_the_quickstart_tells_what_happens(tmp_path: Path) -> None:
    need("unshare", "hostname", "ip", "curl")
    if subprocess.run([*OWN, "true"], check=False, capture_output=True).returncode != 0:
        need_root()
        raise Wanting("namespaces of its own", "this machine lets not even root make them")
    page = told(PAGE.read_text(encoding="utf-8"))
    printed = run([one.command for one in page], tmp_path / "home")
    wrong = [
        (shown, real)
        for shown, real in zip(page, printed, strict=True)
        if not fits(shown.lines, real.lines)
    ]
    assert not wrong, "\n".join(f"$ {real.command}\n" + "\n".join(real.lines) for _, real in wrong)
