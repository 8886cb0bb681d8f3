"""Small files of a host: claim, log, programs, page cache, digests, and senseless requests."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest

from reconciler.model.facts import Binary
from reconciler.onhost import contact, files
from reconciler.onhost.serve import answer
from tests import running
from tests.running import ok

OURS = {
    "controller": "c1",
    "name": "attic",
    "directory": "/var/lib/reconciler",
    "boot": "b1",
    "at": 1.5,
}
THEIRS = {**OURS, "controller": "c2", "name": "cellar"}


def ask(directory: Path, kind: str, **fields: Any) -> dict[str, Any]:
    return answer({"do": kind, **fields}, str(directory))


def test_an_unclaimed_host_can_be_claimed_again_and_again(tmp_path: Path) -> None:
    host = tmp_path / "host"
    assert ok(ask(host, "claim")) == {"claim": None}
    for _ in range(2):
        ok(ask(host, "write-claim", claim=OURS, take_over=False))
    assert ok(ask(host, "claim")) == {"claim": OURS}
    written = (host / "claim.json").stat()
    assert written.st_mode & 0o777 == 0o600
    ok(ask(host, "write-claim", claim=OURS, take_over=False))
    assert (host / "claim.json").stat().st_ino == written.st_ino, (
        "what stands already is not written again"
    )


def test_anothers_claim_stands_until_it_is_taken_over(tmp_path: Path) -> None:
    ok(ask(tmp_path, "write-claim", claim=OURS))
    found = ask(tmp_path, "write-claim", claim=THEIRS)
    assert "claimed by controller attic (/var/lib/reconciler)" in found["error"]
    assert ok(ask(tmp_path, "claim")) == {"claim": OURS}
    ok(ask(tmp_path, "write-claim", claim=THEIRS, take_over=True))
    assert ok(ask(tmp_path, "claim")) == {"claim": THEIRS}


def test_of_two_who_claim_at_the_same_instant_one_has_the_host_and_the_other_is_told_whose_it_is(
    tmp_path: Path,
) -> None:
    for number in range(20):
        host, together = tmp_path / str(number), Barrier(2)

        def claims(claim: dict[str, Any], host: Path = host, together: Barrier = together) -> str:
            together.wait()
            return str(ask(host, "write-claim", claim=claim).get("error", ""))

        with ThreadPoolExecutor() as pool:
            said = list(pool.map(claims, (OURS, THEIRS)))
        (loser,) = [one for one in said if one]
        won = OURS if loser == said[1] else THEIRS
        assert f"claimed by controller {won['name']}" in loser
        assert ok(ask(host, "claim")) == {"claim": won}


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", '{"controller": 1}', "x" * (files.CLAIM_LIMIT + 1)]
)
def test_a_damaged_claim_is_nobodys_permission(tmp_path: Path, text: str) -> None:
    (tmp_path / "claim.json").write_text(text)
    assert "claim.json" in ask(tmp_path, "claim")["error"]
    assert "claim.json" in ask(tmp_path, "write-claim", claim=OURS)["error"]
    ok(ask(tmp_path, "write-claim", claim=OURS, take_over=True))


def test_a_tail_is_the_last_whole_lines(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(b"one\ntwo\xff\nthree")
    assert ok(ask(tmp_path, "tail", path="log", lines=2))["lines"] == ["two\ufffd", "three"]
    assert ok(ask(tmp_path, "tail", path="log", lines=0))["lines"] == []
    assert ok(ask(tmp_path, "tail", path="nothing", lines=2)) == {"lines": [], "end": ""}


def test_after_an_end_come_the_whole_lines_since_also_those_of_a_new_log(
    tmp_path: Path,
) -> None:
    log = tmp_path / "log"

    def since(end: str) -> tuple[list[str], str]:
        answer = ok(ask(tmp_path, "tail", path="log", lines=9, after=end))
        return answer["lines"], answer["end"]

    log.write_text("one\nhal")
    end = ok(ask(tmp_path, "tail", path="log", lines=9))["end"]
    assert since(end) == ([], end)
    log.write_text("one\nhalf\n")
    lines, end = since(end)
    assert lines == ["half"]
    with log.open("a") as file:
        file.write("its last words\n")
    log.rename(tmp_path / "log.1")
    log.write_text("anew\n")
    lines, end = since(end)
    assert lines == ["its last words", "anew"]
    log.write_text("cut\n")
    assert since(end)[0] == ["cut"]
    log.unlink()
    assert since(end) == ([], end)


def test_a_tail_of_a_huge_line_is_bounded(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("x" * 10**6 + "\n" + "y" * 10**5)
    (line,) = ok(ask(tmp_path, "tail", path="log", lines=9))["lines"]
    assert line == "y" * files.LINE_LIMIT


def test_a_program_is_found_by_name_and_by_path(tmp_path: Path) -> None:
    by_name = Binary.model_validate(ok(ask(tmp_path, "program", program="sh")))
    assert by_name.path.startswith("/")
    assert (by_name.problem, by_name.size > 0) == ("", True)
    assert Binary.model_validate(ok(ask(tmp_path, "program", program=sys.executable))).problem == ""


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("no-such-llama-server", "there is no program no-such-llama-server on this host's PATH"),
        ("./plain", "is not executable for this user"),
        ("/nowhere/x", "there is no such file"),
        ("/", "is not a file"),
    ],
)
def test_a_program_that_cannot_run_is_explained(tmp_path: Path, name: str, said: str) -> None:
    (tmp_path / "plain").write_text("x")
    assert said in Binary.model_validate(ok(ask(tmp_path, "program", program=name))).problem


def test_a_script_need_not_be_executable(tmp_path: Path) -> None:
    (tmp_path / "server.py").write_text("x")
    assert (
        Binary.model_validate(
            ok(ask(tmp_path, "program", program=str(tmp_path / "server.py")))
        ).problem
        == ""
    )


def test_all_shards_of_a_model_are_named() -> None:
    assert files.shards("/m/x-00001-of-00003.gguf")[1:] == [
        "/m/x-00002-of-00003.gguf",
        "/m/x-00003-of-00003.gguf",
    ]
    assert files.shards("/m/x.gguf") == ["/m/x.gguf"]
    assert files.shards("/m/x-00001-of-99999.gguf") == ["/m/x-00001-of-99999.gguf"]


def test_prefetch_asks_for_every_shard(tmp_path: Path) -> None:
    for number in (1, 2):
        (tmp_path / f"x-0000{number}-of-00002.gguf").write_bytes(b"x" * 5000)
    assert ok(ask(tmp_path, "prefetch", path="x-00001-of-00002.gguf"))["bytes"] == 10_000
    assert "there is no such file" in ask(tmp_path, "prefetch", path="y.gguf")["error"]


def fingerprint(directory: Path, *flags: str) -> str:
    digest: str = ok(
        ask(
            directory,
            "fingerprint",
            weights=["w.gguf"],
            programs=["./server", "./lib"],
            flags=flags,
        )
    )["digest"]
    return digest


@pytest.fixture
def host(tmp_path: Path) -> Path:
    (tmp_path / "w.gguf").write_bytes(os.urandom(8 * 1024 * 1024))
    (tmp_path / "server").write_bytes(b"elf")
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib/a.so.1").write_bytes(b"1")
    return tmp_path


def test_a_fingerprint_is_stable(host: Path) -> None:
    assert fingerprint(host, "-c", "1").startswith("v1:sha256:")
    assert fingerprint(host, "-c", "1") == fingerprint(host, "-c", "1")


@pytest.mark.parametrize("name", ["w.gguf", "server", "lib/a.so.1", "lib/b.so", "flags"])
def test_a_fingerprint_moves_with_everything_it_covers(host: Path, name: str) -> None:
    before = fingerprint(host)
    if name == "flags":
        assert fingerprint(host, "x") != before
    else:
        with (host / name).open("ab") as file:
            file.write(b"y")
        assert fingerprint(host) != before


def test_a_library_that_leads_nowhere_keeps_no_program_from_being_told(host: Path) -> None:
    before = fingerprint(host)
    (host / "lib/b.so").symlink_to("gone.so.2")
    assert fingerprint(host) == before


@pytest.mark.parametrize("offset", [0, 1024 * 1024 - 1, 7 * 1024 * 1024, 8 * 1024 * 1024 - 1])
def test_a_fingerprint_reads_content_not_times_alone(host: Path, offset: int) -> None:
    before, times = fingerprint(host), (host / "w.gguf").stat()
    with (host / "w.gguf").open("r+b") as file:
        file.seek(offset)
        byte = file.read(1)
        file.seek(offset)
        file.write(bytes([byte[0] ^ 1]))
    os.utime(host / "w.gguf", ns=(times.st_atime_ns, times.st_mtime_ns))
    assert fingerprint(host) != before


def changed_at(directory: Path) -> float:
    question = {"weights": ["w.gguf"], "programs": ["./server", "./lib"], "flags": []}
    at: float = ok(ask(directory, "fingerprint", **question))["changed_at"]
    return at


def aged(directory: Path) -> float:
    """Wait until the kernel's clock for files has moved, and return the time."""
    before, clock = changed_at(directory), directory / "clock"
    deadline = time.monotonic() + running.DEADLINE
    clock.touch()
    while clock.stat().st_ctime <= before:
        assert time.monotonic() < deadline
        clock.touch()
    return clock.stat().st_ctime


def replaced(path: Path) -> None:
    """Put an older file in the place of one, as a download that keeps times does."""
    other = path.with_suffix(".other")
    other.write_bytes(path.read_bytes())
    os.utime(other, (1, 1))
    other.replace(path)


def relinked(path: Path) -> None:
    """Let a name lead to a file that was there all along."""
    path.with_suffix(".link").symlink_to(path.with_suffix(".old"))
    path.with_suffix(".link").replace(path)


@pytest.mark.parametrize("change", [replaced, relinked])
@pytest.mark.parametrize("name", ["w.gguf", "server", "lib/a.so.1"])
def test_a_fingerprint_says_when_the_newest_file_it_covers_came_there(
    host: Path, name: str, change: Callable[[Path], None]
) -> None:
    (host / name).with_suffix(".old").write_bytes((host / name).read_bytes())
    then = aged(host)
    assert changed_at(host) < then
    change(host / name)
    assert then <= changed_at(host) <= time.time()


def test_a_file_that_is_no_part_of_a_fingerprint_says_nothing_of_when_it_changed(
    host: Path,
) -> None:
    before, _ = changed_at(host), aged(host)
    (host / "lib/README").write_text("x")
    assert changed_at(host) == before


def test_a_fingerprint_of_something_missing_says_what(host: Path) -> None:
    (host / "w.gguf").unlink()
    found = ask(host, "fingerprint", weights=["w.gguf"], programs=[], flags=[])
    assert found["error"] == f"{host}/w.gguf cannot be read: there is no such file or directory"


def test_device_nodes_are_what_is_there(tmp_path: Path) -> None:
    assert contact.gpus(str(tmp_path))["nodes"] == []
    (tmp_path / "dev/dri").mkdir(parents=True)
    for name in ("nvidia0", "nvidiactl", "dri/renderD128", "dri/card0"):
        (tmp_path / "dev" / name).touch()
    assert contact.gpus(str(tmp_path))["nodes"] == [
        f"{tmp_path}/dev/dri/renderD128",
        f"{tmp_path}/dev/nvidia0",
    ]


def test_the_hosts_memory_stands_beside_the_nodes_for_accelerators_that_use_it() -> None:
    seen = contact.gpus()
    assert 0 < seen["memory_available"] < seen["memory_total"]


@pytest.mark.parametrize(
    "request_",
    [
        {}, {"do": None}, {"do": ["units"]}, {"do": "nothing"}, {"do": "port"},
        {"do": "port", "port": "x"}, {"do": "spawn"}, {"do": "stop", "identity": 1},
        {"do": "stop", "identity": {"pid": 10**30}}, {"do": "tail", "path": 1, "lines": 1},
        {"do": "room", "directory": "/"}, {"do": "units", "pids": [-1, "x"]},
        {"do": "gguf", "path": "a\0b"},
    ],
)  # fmt: skip
def test_a_request_that_makes_no_sense_is_a_sentence(
    tmp_path: Path, request_: dict[str, Any]
) -> None:
    found = answer(request_, str(tmp_path))
    assert set(found) == {"error"}
    assert isinstance(found["error"], str)


def test_one_bad_request_among_many_spoils_no_other(tmp_path: Path) -> None:
    found = ok(
        ask(tmp_path, "each", requests=[{"do": "gpus"}, {"do": "nothing"}, {"do": "contact"}])
    )["answers"]
    assert [set(one) for one in found] == [{"ok"}, {"error"}, {"ok"}]


def test_the_program_uses_the_standard_library_alone() -> None:
    code = (
        "import sys; import reconciler.onhost.serve; print([n for n in sys.modules if"
        " n.partition('.')[0] in"
    )
    code += (
        " ('pydantic', 'anyio')] + [n for n in sys.modules if n.startswith('reconciler.') and"
        " 'onhost' not in n])"
    )
    root = Path(files.__file__).parents[2]
    found = subprocess.run(
        [sys.executable, "-S", "-c", code], cwd=root, capture_output=True, text=True, check=True
    )
    assert found.stdout.strip() == "[]"


def test_a_claim_is_replaced_only_by_who_has_seen_it(tmp_path: Path) -> None:
    later = {**OURS, "boot": "b2", "at": 2.5}
    ok(ask(tmp_path, "write-claim", claim=OURS))
    assert (
        "claimed by controller attic"
        in ask(tmp_path, "write-claim", claim=later, replaces=THEIRS)["error"]
    )
    ok(ask(tmp_path, "write-claim", claim=later, replaces=OURS))
    assert ok(ask(tmp_path, "claim")) == {"claim": later}


def test_a_claim_of_a_version_that_told_no_boot_is_read(tmp_path: Path) -> None:
    told = {name: value for name, value in OURS.items() if name != "boot"}
    (tmp_path / "claim.json").write_text(json.dumps(told))
    assert ok(ask(tmp_path, "claim")) == {"claim": {**told, "boot": ""}}
