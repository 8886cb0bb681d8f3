"""Saved slots on a host: sealed, checked, noted, listed, evicted, and what damage does to each."""

from __future__ import annotations

import hashlib
import json
import os
import resource
import signal
import struct
from contextlib import contextmanager
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.model.facts import Saved
from reconciler.onhost.serve import answer
from tests.running import ok

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

IDENTITY = {"pid": 7, "start": 8, "inode": 9, "boot_id": "b"}
TOKENS = list(range(100, 140))
MAGIC = 0x67677371


def slot_content(tokens: list[int], state: bytes = b"state" * 100) -> bytes:
    record = struct.pack(f"<{3 + len(tokens)}i", -1, 1, len(tokens), *tokens)
    return struct.pack("<3i", MAGIC, 4, len(record) // 4) + record + state


def sidecar(
    slot: int = 0, saved_at: float = 1.0, fingerprint: str = "v1:sha256:00000000"
) -> dict[str, Any]:
    return {
        "slot": slot, "tokens": len(TOKENS), "fingerprint": fingerprint, "saved_at": saved_at,
        "identity": IDENTITY, "slot_tokens": 4096, "task": None,
    }  # fmt: skip


def ask(directory: Path, kind: str, **fields: Any) -> dict[str, Any]:
    return answer({"do": kind, "directory": "slots", **fields}, str(directory))


def seal(
    directory: Path, file: str, slot: int = 0, saved_at: float = 1.0, content: bytes | None = None
) -> dict[str, Any]:
    content = slot_content(TOKENS) if content is None else content
    (directory / "slots").mkdir(exist_ok=True)
    (directory / "slots" / f"{file}.tmp").write_bytes(content)
    return ask(
        directory, "seal", temporary=f"{file}.tmp", file=file, size=len(content),
        sidecar=sidecar(slot, saved_at)
    )  # fmt: skip


def room(directory: Path, needed: int, budget: int, *keep: str, spare: int = 0) -> dict[str, Any]:
    return ask(directory, "room", needed=needed, budget=budget, keep=keep, spare=spare)


def saved(directory: Path) -> Saved:
    return Saved.model_validate(ok(ask(directory, "saved")))


def names(directory: Path) -> set[str]:
    return {path.name for path in (directory / "slots").iterdir()}


@contextmanager
def files_no_larger_than(size: int) -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)


def test_a_sealed_slot_is_private_listed_and_proves_its_tokens(tmp_path: Path) -> None:
    evidence = ok(seal(tmp_path, "a"))
    assert evidence["sha256"] == hashlib.sha256(slot_content(TOKENS)).hexdigest()
    assert names(tmp_path) == {"a", "a.slot.json"}
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "slots").iterdir()} == {0o600}
    (slot,) = saved(tmp_path).slots
    assert (slot.file, slot.tokens, slot.bytes, slot.attempts) == (
        "a",
        40,
        len(slot_content(TOKENS)),
        (),
    )
    checked = ok(ask(tmp_path, "check", file="a"))
    assert (checked["tokens"], checked["n"]) == (TOKENS, 40)


def test_sealing_twice_is_the_same(tmp_path: Path) -> None:
    first = ok(seal(tmp_path, "a"))
    size = len(slot_content(TOKENS))
    assert (
        ok(ask(tmp_path, "seal", temporary="a.tmp", file="a", size=size, sidecar=sidecar()))
        == first
    )
    ok(ask(tmp_path, "check", file="a"))


def test_a_file_of_another_size_than_the_engine_said_is_not_sealed(tmp_path: Path) -> None:
    ok(seal(tmp_path, "old"))
    (tmp_path / "slots/new.tmp").write_bytes(b"short")
    found = ask(
        tmp_path, "seal", temporary="new.tmp", file="new", size=6, sidecar=sidecar(saved_at=2)
    )
    assert "wrote 5 bytes" in found["error"]
    assert [slot.file for slot in saved(tmp_path).slots] == ["old"]


def test_a_newer_file_replaces_the_older_of_its_slot_only(tmp_path: Path) -> None:
    ok(seal(tmp_path, "a", slot=0, saved_at=1))
    ok(seal(tmp_path, "b", slot=1, saved_at=1))
    assert ok(seal(tmp_path, "c", slot=0, saved_at=2))["removed"] == ["a"]
    assert [slot.file for slot in saved(tmp_path).slots] == ["c", "b"]


def test_of_each_slot_the_newest_file_of_one_other_fingerprint_stays(tmp_path: Path) -> None:
    (tmp_path / "slots").mkdir()
    removed = []
    for number, fingerprint in enumerate(("one", "one", "two", "one", "three", "three"), start=1):
        (tmp_path / f"slots/{number}.tmp").write_bytes(b"state")
        described = sidecar(saved_at=number, fingerprint=fingerprint)
        removed.append(
            ok(
                ask(
                    tmp_path,
                    "seal",
                    temporary=f"{number}.tmp",
                    file=str(number),
                    size=5,
                    sidecar=described,
                )
            )["removed"]
        )
    assert removed == [[], ["1"], [], ["2"], ["3"], ["5"]]
    assert [(slot.file, slot.fingerprint) for slot in saved(tmp_path).slots] == [
        ("4", "one"),
        ("6", "three"),
    ]


def test_an_incomplete_description_seals_nothing(tmp_path: Path) -> None:
    (tmp_path / "slots").mkdir()
    (tmp_path / "slots/a.tmp").write_bytes(b"x")
    found = ask(tmp_path, "seal", temporary="a.tmp", file="a", size=1, sidecar={"slot": 0})
    assert "not complete: its keys differ in fingerprint" in found["error"]
    assert names(tmp_path) == {"a.tmp"}


@pytest.mark.parametrize("name", ["../a", "/a", "", ".", "..", "a/b", "a\0b"])
def test_a_name_that_leaves_the_directory_is_refused(tmp_path: Path, name: str) -> None:
    assert "not a plain file name" in ask(tmp_path, "check", file=name)["error"]
    assert (
        "not a plain file name"
        in ask(tmp_path, "seal", temporary="a.tmp", file=name, size=0, sidecar={})["error"]
    )


@pytest.mark.parametrize("limit", [0, 40])
def test_a_full_disk_seals_nothing_and_loses_nothing(tmp_path: Path, limit: int) -> None:
    ok(seal(tmp_path, "old"))
    content = slot_content(TOKENS)
    (tmp_path / "slots/new.tmp").write_bytes(content)
    with files_no_larger_than(limit):
        found = ask(
            tmp_path,
            "seal",
            temporary="new.tmp",
            file="new",
            size=len(content),
            sidecar=sidecar(saved_at=2),
        )
    assert "cannot write" in found["error"]
    assert "Traceback" not in found["error"]
    assert names(tmp_path) == {"old", "old.slot.json", "new.tmp"}
    ok(ask(tmp_path, "check", file="old"))


def test_a_note_on_a_full_disk_keeps_the_old_sidecar(tmp_path: Path) -> None:
    ok(seal(tmp_path, "a"))
    with files_no_larger_than(10):
        assert (
            "cannot write"
            in ask(tmp_path, "note", file="a", identity=IDENTITY, outcome="open")["error"]
        )
    assert saved(tmp_path).slots[0].attempts == ()


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_no_cut_and_no_flipped_bit_is_ever_accepted(
    tmp_path_factory: pytest.TempPathFactory, drawn: st.DataObject
) -> None:
    directory = tmp_path_factory.mktemp("slots")
    ok(seal(directory, "a"))
    path = directory / "slots/a"
    content = bytearray(path.read_bytes())
    if drawn.draw(st.booleans()):
        content = content[: drawn.draw(st.integers(0, len(content) - 1))]
    else:
        place = drawn.draw(st.integers(0, len(content) * 8 - 1))
        content[place // 8] ^= 1 << place % 8
    path.write_bytes(content)
    assert "damaged and will not be used" in ask(directory, "check", file="a")["error"]


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_a_damaged_sidecar_is_a_problem_or_another_slot_but_never_an_exception(
    tmp_path_factory: pytest.TempPathFactory, drawn: st.DataObject
) -> None:
    directory = tmp_path_factory.mktemp("slots")
    ok(seal(directory, "a"))
    path = directory / "slots/a.slot.json"
    content = bytearray(path.read_bytes())
    content[drawn.draw(st.integers(0, len(content) - 1))] = drawn.draw(st.integers(0, 255))
    path.write_bytes(content[: drawn.draw(st.integers(0, len(content)))])
    found = saved(directory)
    assert len(found.slots) + len(found.problems) == 1


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[]",
        "{}",
        "[" * 50_000,
        '{"file": "a"}',
        "\udcff".encode("utf-8", "surrogateescape").decode("latin1"),
    ],
)
def test_a_sidecar_that_says_nothing_is_reported(tmp_path: Path, text: str) -> None:
    ok(seal(tmp_path, "a"))
    (tmp_path / "slots/a.slot.json").write_text(text)
    (problem,) = saved(tmp_path).problems
    assert "a.slot.json is damaged" in problem


def test_a_sidecar_without_its_file_is_reported(tmp_path: Path) -> None:
    ok(seal(tmp_path, "a"))
    (tmp_path / "slots/a").unlink()
    assert saved(tmp_path).problems == (
        (
            f"slot file a is missing, but {len(slot_content(TOKENS))} bytes were saved; it will not"
            " be used"
        ),
    )


def test_leftovers_and_foreign_files_are_not_listed(tmp_path: Path) -> None:
    ok(seal(tmp_path, "a"))
    for name in ("b.tmp", "b.slot.json.tmp", "notes.txt", "other.json"):
        (tmp_path / "slots" / name).write_text("x")
    found = saved(tmp_path)
    assert ([slot.file for slot in found.slots], found.problems) == (["a"], ())


def test_a_directory_that_does_not_exist_yet_is_empty(tmp_path: Path) -> None:
    found = saved(tmp_path)
    assert (found.slots, found.problems) == ((), ())
    assert (found.free_bytes or 0) > 0


def test_an_attempt_is_open_before_it_is_anything_else(tmp_path: Path) -> None:
    ok(seal(tmp_path, "a"))
    other = {**IDENTITY, "pid": 8}
    for identity, outcome in (
        (IDENTITY, "open"),
        (IDENTITY, "open"),
        (IDENTITY, "cold"),
        (other, "open"),
        (other, "proven"),
    ):
        ok(ask(tmp_path, "note", file="a", identity=identity, outcome=outcome, reason="r"))
    attempts = saved(tmp_path).slots[0].attempts
    assert [(attempt.identity.pid, attempt.outcome) for attempt in attempts] == [
        (7, "cold"),
        (8, "proven"),
    ]


def test_room_deletes_leftovers_then_the_oldest_but_never_what_is_kept(tmp_path: Path) -> None:
    size = len(slot_content(TOKENS))
    for number in range(4):
        ok(seal(tmp_path, f"s{number}", slot=number, saved_at=number))
    (tmp_path / "slots/x.tmp").write_text("x")
    (tmp_path / "slots/notes.txt").write_text("x")
    assert ok(room(tmp_path, size, 4 * size, "s0"))["removed"] == ["x.tmp", "s1"]
    assert names(tmp_path) == {
        name for file in ("s0", "s2", "s3") for name in (file, f"{file}.slot.json")
    } | {"notes.txt"}


def test_more_room_is_made_where_that_is_possible_and_what_just_fits_is_not_refused(
    tmp_path: Path,
) -> None:
    size = len(slot_content(TOKENS))
    for number in range(3):
        ok(seal(tmp_path, f"s{number}", slot=number, saved_at=float(number)))
    assert ok(room(tmp_path, size, 4 * size, spare=size))["removed"] == ["s0"]
    assert ok(room(tmp_path, size, 3 * size, "s2", spare=9 * size))["removed"] == ["s1"]
    assert ok(room(tmp_path, 2 * size, 3 * size, "s2", spare=size))["removed"] == []


def test_what_files_hold_is_told_with_their_folder_because_it_could_be_made_free(
    tmp_path: Path,
) -> None:
    size = len(slot_content(TOKENS))
    ok(seal(tmp_path, "a", slot=0))
    ok(seal(tmp_path, "b", slot=1))
    (tmp_path / "slots/x.tmp").write_text("leftover")
    found = saved(tmp_path)
    assert (found.held_bytes, found.folder) == (2 * size + len("leftover"), str(tmp_path / "slots"))
    assert ok(room(tmp_path, 2 * size, 2 * size))["removed"] == ["x.tmp", "a", "b"]


@pytest.mark.parametrize(
    ("disk", "closed", "why"),
    [
        ({"f_flag": os.ST_RDONLY}, set(), "read-only"),
        ({"f_favail": 0}, set(), "no files"),
        ({}, {os.W_OK}, "another's"),
        ({}, {os.W_OK, os.X_OK}, "closed"),
        ({"f_files": 0, "f_favail": 0}, set(), ""),
    ],
)
def test_why_nothing_can_be_written_is_told_also_before_the_folder_is_made(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    disk: dict[str, int],
    closed: set[int],
    why: str,
) -> None:
    usual = {
        "f_flag": 0,
        "f_files": 9,
        "f_favail": 9,
        "f_frsize": 1,
        "f_bavail": 9,
        "f_blocks": 9,
        "f_bfree": 9,
    }
    monkeypatch.setattr(os, "statvfs", lambda _: SimpleNamespace(**usual | disk))
    monkeypatch.setattr(os, "access", lambda _, mode: mode not in closed)
    for above in (tmp_path, tmp_path / "slots"):
        found = saved(tmp_path)
        assert (found.obstacle, found.nearest) == (why, str(above))
        (tmp_path / "slots").mkdir(exist_ok=True)


def test_room_is_made_where_the_folder_was_deleted(tmp_path: Path) -> None:
    assert ok(room(tmp_path, 1, 10**6))["removed"] == []
    assert (tmp_path / "slots").stat().st_mode & 0o777 == 0o700


def test_room_that_cannot_be_made_deletes_nothing(tmp_path: Path) -> None:
    size = len(slot_content(TOKENS))
    ok(seal(tmp_path, "a"))
    before = names(tmp_path)
    assert "or make space" in room(tmp_path, size + 1, size)["error"]
    assert "or make space" in room(tmp_path, size, size, "a")["error"]
    assert "or make space" in room(tmp_path, 2**60, 2**61)["error"]
    assert names(tmp_path) == before


def test_damaged_slots_are_the_first_to_go(tmp_path: Path) -> None:
    ok(seal(tmp_path, "a", slot=0))
    ok(seal(tmp_path, "b", slot=1))
    (tmp_path / "slots/b.slot.json").write_text("{")
    assert ok(room(tmp_path, 1, 10**6))["removed"] == ["b.slot.json", "b"]


@pytest.mark.parametrize("version", [2, 3, 4, 9])
def test_tokens_are_read_from_both_layouts_whatever_their_version(
    tmp_path: Path, version: int
) -> None:
    count = len(TOKENS)
    plain = struct.pack(f"<3i{count}i", MAGIC, version, count, *TOKENS) + b"state"
    wrapped = (
        struct.pack(f"<6i{count}i", MAGIC, version, count + 4, -1, 1, count, *TOKENS)
        + b"\1\0\0\0state"
    )
    for content in (plain, wrapped):
        ok(seal(tmp_path, "a", content=content))
        found = ok(ask(tmp_path, "check", file="a"))
        assert (found["tokens"], found["n"], found["layout"]) == (TOKENS, count, "")


@pytest.mark.parametrize(
    ("content", "looks"),
    [
        (b"", "it does not begin like a slot file of llama.cpp"),
        (b"qsgg", "it does not begin like a slot file of llama.cpp"),
        (b"\0" * 100, "it does not begin like a slot file of llama.cpp"),
        (
            slot_content(TOKENS)[:40],
            "it is of version 4, and what stands in place of its tokens is none",
        ),
        (
            slot_content([*TOKENS[:-1], -1]),
            "it is of version 4, and what stands in place of its tokens is none",
        ),
        (
            struct.pack("<6i", MAGIC, 4, 3, -1, 1, 2**31 - 1),
            "it is of version 4, whose layout is not known",
        ),
        (
            struct.pack("<6i", MAGIC, 5, 44, -2, 1, 40),
            "it is of version 5, whose layout is not known",
        ),
        (
            struct.pack("<6i", MAGIC, 3, -5, -1, 1, -5),
            "it is of version 3, whose layout is not known",
        ),
    ],
)
def test_a_token_record_that_is_not_known_is_not_guessed(
    tmp_path: Path, content: bytes, looks: str
) -> None:
    ok(seal(tmp_path, "a", content=content))
    found = ok(ask(tmp_path, "check", file="a"))
    assert (found["tokens"], found["layout"]) == (None, looks)


@pytest.mark.parametrize("described", [0, 20, 41, 10**12])
def test_a_description_that_its_file_contradicts_is_not_put_in(
    tmp_path: Path, described: int
) -> None:
    count = len(TOKENS)
    plain = struct.pack(f"<3i{count}i", MAGIC, 2, count, *TOKENS) + b"state"
    for content in (plain, slot_content(TOKENS)):
        ok(seal(tmp_path, "a", content=content))
        file = tmp_path / "slots/a.slot.json"
        file.write_text(json.dumps({**json.loads(file.read_text()), "tokens": described}))
        said = ask(tmp_path, "check", file="a")["error"]
        assert (
            f"it holds 40 tokens, and its description says {described}; it will not be used" in said
        )


@pytest.mark.parametrize(
    "changed",
    [
        {"slot": -1},
        {"tokens": -5},
        {"attempts": [{"identity": IDENTITY, "outcome": "lucky", "reason": ""}]},
    ],
)
def test_a_description_that_nobody_wrote_is_named_and_not_listed(
    tmp_path: Path, changed: dict[str, Any]
) -> None:
    ok(seal(tmp_path, "a"))
    file = tmp_path / "slots/a.slot.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **changed}))
    found = saved(tmp_path)
    assert (found.slots, "its slot file will not be used" in found.problems[0]) == ((), True)


def test_a_link_in_place_of_a_slot_file_is_not_followed(tmp_path: Path) -> None:
    ok(seal(tmp_path, "a"))
    (tmp_path / "slots/a").rename(tmp_path / "elsewhere")
    (tmp_path / "slots/a").symlink_to(tmp_path / "elsewhere")
    assert "symbolic link" in ask(tmp_path, "check", file="a")["error"]


def test_the_sidecar_names_what_was_sealed(tmp_path: Path) -> None:
    evidence = ok(seal(tmp_path, "a"))
    written = json.loads((tmp_path / "slots/a.slot.json").read_bytes())
    assert written == {
        **sidecar(),
        "file": "a",
        "bytes": evidence["bytes"],
        "sha256": evidence["sha256"],
        "attempts": [],
    }


def test_a_description_may_say_which_invocation_its_unit_was(tmp_path: Path) -> None:
    ok(seal(tmp_path, "a"))
    file = tmp_path / "slots" / "a.slot.json"
    said = json.loads(file.read_text())
    for invocation, problems in (("1f", 0), (7, 1)):
        file.write_text(json.dumps({**said, "identity": {**IDENTITY, "invocation": invocation}}))
        assert len(saved(tmp_path).problems) == problems
