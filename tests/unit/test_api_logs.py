"""The log of an engine over the control API: its end, what came after that, and what comes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from http import HTTPStatus
from pathlib import Path

import pytest

from reconciler.api.calls import logs as calls
from reconciler.errors import Unreachable
from reconciler.verbs import logs
from tests.gateway_stand import WITHIN
from tests.unit.test_api import V1, folder, standing, tidy

__all__ = ("folder", "tidy")

TINY = "/logs/tiny-a"


def log_of(folder: Path) -> Path:
    log = folder / "host" / "reconciler-host" / "models" / "tiny-a" / "log"
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text("one\ntwo\n")
    return log


def add(log: Path, line: str) -> None:
    with log.open("a") as file:
        file.write(f"{line}\n")


async def test_what_came_after_an_earlier_answer_is_told_by_its_end(folder: Path) -> None:
    log = log_of(folder)
    async with standing(folder, "logged") as api:
        first = await api.get(TINY, lines="1")
        assert first["lines"] == ["two"]
        assert (await api.get(TINY, after=first["end"]))["lines"] == []
        add(log, "three")
        more = await api.get(TINY, after=first["end"])
        assert more["lines"] == ["three"]
        for wrong in ("--vacuum-size=1", "a b", "x" * 600):
            refused = await api.local.get(V1 + TINY, params={"after": wrong})
            assert refused.status_code == HTTPStatus.BAD_REQUEST
            assert "expected the `end` of an earlier answer" in refused.text
        inode = more["end"].partition(":")[0]
        anew = await api.get(TINY, after=f"{inode}:soon")
        assert anew["lines"] == ["one", "two", "three"], "no end of ours is none that is known"


async def test_who_follows_a_log_is_told_line_by_line_until_it_cannot_be_read(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(calls, "BEAT_SECONDS", 0.05)
    log = log_of(folder)
    async with standing(folder, "followed") as api, asyncio.timeout(WITHIN):
        params = {"follow": "", "lines": "1"}
        async with api.local.stream("GET", V1 + TINY, params=params) as told:
            lines = told.aiter_lines()
            heard = [line async for line in until(lines, "data: ")]
            assert json.loads(heard[-1][6:])["lines"] == ["two"]
            assert ": keepalive" in [line async for line in until(lines, ": keepalive")]
            add(log, "three")
            heard = [line async for line in until(lines, "data: ")]
            assert json.loads(heard[-1][6:])["lines"] == ["three"]
            assert heard[-3].startswith("id: ")

            async def silent(*_: object) -> None:
                raise Unreachable("the host is gone")

            monkeypatch.setattr(logs, "_part", silent)
            rest = "\n".join([line async for line in lines])
            assert 'data: {"message": "the host is gone", "type": "Unreachable"}' in rest
        unknown = await api.local.get(f"{V1}/logs/tiny-q", params=params)
        assert unknown.status_code == HTTPStatus.BAD_REQUEST


async def until(lines: AsyncIterator[str], begins: str) -> AsyncIterator[str]:
    async for line in lines:
        yield line
        if line.startswith(begins):
            return
