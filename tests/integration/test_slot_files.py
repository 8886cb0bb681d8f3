"""Wrong slot files, and disks with no room for them: seen, said, and nothing lost over it."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests import running
from tests.engine import weights_in
from tests.lying_servers import always, before, behind, lying, with_this_process
from tests.rig import Define, Rig, saved_by, value


@pytest.fixture(autouse=True)
def _no_process_survives_a_test() -> Iterator[None]:
    with running.ending_all():
        yield


def truncate(file: Path) -> None:
    os.truncate(file, file.stat().st_size - 1)


def flip(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def link(file: Path) -> None:
    """Put a link to the file, which is whole, in its place."""
    file.with_suffix(".aside").hardlink_to(file)
    file.unlink()
    file.symlink_to(file.with_suffix(".aside"))


def pipe(file: Path) -> None:
    file.unlink()
    os.mkfifo(file)


def misdescribe(file: Path) -> None:
    """Let the description say half as many tokens."""
    described = file.with_name(f"{file.name}.slot.json")
    content = json.loads(described.read_text())
    described.write_text(json.dumps({**content, "tokens": content["tokens"] // 2}))


DAMAGE: tuple[tuple[Callable[[Path], None], str], ...] = (
    (truncate, "bytes, not"), (flip, "sha256 differs"), (link, "symbolic link"),
    (pipe, "not a regular file"), (misdescribe, "its description says"),
)  # fmt: skip


async def test_a_damaged_file_never_reaches_the_engine(define: Define) -> None:
    model = define()
    saved = await saved_by(model)
    file = model.slots / saved.slots[0].file
    content = file.read_bytes()
    async with model.running() as unit:
        asked: list[Any] = []
        async with lying(before(model.model.port, lambda *_: None, asked)) as port:
            for damage, said in DAMAGE:
                damage(file)
                evidence: Any = await behind(model, port).restore(with_this_process(unit), saved)
                assert evidence["slots"][0]["outcome"] == "cold"
                assert said in evidence["slots"][0]["reason"]
                file.unlink()
                file.write_bytes(content)
        assert not [one for one in asked if "restore" in one.path or one.path == "/completion"]
        assert (await model.converse())["tokens_predicted"] == 8


async def test_a_conversation_of_other_weights_is_never_restored(
    define: Define, tmp_path: Path
) -> None:
    one, other = (define(weights=str(weights_in(tmp_path, seed=seed))) for seed in (1, 2))
    saved = await saved_by(one)
    assert value(await other.engine.fingerprint()) != value(await one.engine.fingerprint())
    async with other.running() as unit:
        evidence: Any = await other.engine.restore(unit, saved)
        assert evidence["slots"][0]["outcome"] == "cold"
        assert "other weights" in evidence["slots"][0]["reason"]
        assert (await other.slot(unit)).tokens is None


def limited(model: Rig, size: int) -> Rig:
    """Let no file of the engine grow beyond `size` bytes, as on a disk that is full."""
    words = "import os, resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
    words += (
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({size}, {size})); os.execv(sys.argv[1],"
        " sys.argv[1:])"
    )
    command = model.model.command
    argv = (sys.executable, "-I", "-c", words, *command.argv)
    return replace(
        model,
        model=model.model.model_copy(update={"command": command.model_copy(update={"argv": argv})}),
    )


async def test_a_full_disk_loses_no_earlier_save_and_leaves_no_rest(
    define: Define, tmp_path: Path
) -> None:
    model = define(weights=str(weights_in(tmp_path)))
    saved = await saved_by(model)
    kept = {path.name for path in model.slots.iterdir()}
    full = limited(model, saved.slots[0].bytes // 2)
    async with full.running() as unit:
        await full.converse(words=600)
        held = await full.slot(unit)
        evidence = await full.save(unit)
        assert evidence["slots"] == []
        assert "slot 0 was not saved" in str(evidence["failed"])
        assert {path.name for path in full.slots.iterdir()} == kept
        assert await full.slot(unit) == held, "the conversation itself goes on"
    assert value(await model.engine.saved()).slots == saved.slots


async def test_a_budget_that_is_too_small_refuses_before_anything_is_written(
    define: Define,
) -> None:
    model = define(slots_budget=1000)
    async with model.running() as unit:
        await model.converse()
        evidence = await model.save(unit)
    assert "raise the budget" in str(evidence["failed"])
    assert list(model.slots.iterdir()) == []


async def test_an_engine_that_writes_less_than_it_says_is_not_believed(define: Define) -> None:
    model = define()
    async with model.running() as unit:
        await model.converse()
        wrote = always(200, {"n_saved": 300, "n_written": 5, "timings": {"save_ms": 1.0}})
        async with lying(
            before(model.model.port, lambda _, path: wrote if "action=save" in path else None)
        ) as port:
            engine = behind(model, port)
            seen = with_this_process(unit)
            evidence: Any = await engine.save(seen, value(await engine.activity(seen)))
    assert evidence["slots"] == []
    assert "slot 0 was not saved" in str(evidence["failed"])
