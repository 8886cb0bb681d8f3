"""Saved slots on a host: sealed, checked, noted, listed, evicted, and what damage does to each."""

from __future__ import annotations

import hashlib
import json
import os
import resource
import signal
import struct
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.running import ok
from tests.slot_files import IDENTITY, MAGIC, TOKENS, ask, names, saved, seal, sidecar, slot_content

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


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
def test_an_impossible_description_is_named_and_not_listed(
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


def test_in_a_folder_of_several_models_none_replaces_what_another_saved(tmp_path: Path) -> None:
    content = slot_content(TOKENS)
    (tmp_path / "slots").mkdir()
    for number, fingerprint in enumerate(("a", "b", "c", "a"), start=1):
        file, described = f"{fingerprint}{number}", sidecar(0, number, fingerprint)
        (tmp_path / "slots" / f"{file}.tmp").write_bytes(content)
        fields = {"file": file, "temporary": f"{file}.tmp", "size": len(content), "shared": True}
        ok(ask(tmp_path, "seal", sidecar=described, **fields))
    assert {slot.file for slot in saved(tmp_path).slots} == {"b2", "c3", "a4"}


def test_in_a_folder_of_several_models_what_another_is_saving_is_no_leftover(
    tmp_path: Path,
) -> None:
    (tmp_path / "slots").mkdir()
    young, old = tmp_path / "slots" / "young.tmp", tmp_path / "slots" / "old.tmp"
    room: dict[str, Any] = {"needed": 0, "spare": 0, "budget": 1, "keep": [], "shared": True}
    for file in (young, old):
        file.write_bytes(b"it is being written")
    os.utime(old, (0, 0))
    (tmp_path / "slots" / "gone.tmp").symlink_to("nowhere")
    assert ok(ask(tmp_path, "room", **room))["removed"] == ["gone.tmp", "old.tmp"]
    assert ok(ask(tmp_path, "room", **{**room, "shared": False}))["removed"] == ["young.tmp"]
