"""A model is started afresh when that is asked for, once, with its conversation."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.integration.test_api import V1, control
from tests.integration.test_serve import serving
from tests.stack import COMMAND_SECONDS, LEAST_REUSED, Stack, stack


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Stack]:
    with stack(tmp_path) as made:
        yield made


def starts(here: Stack) -> int:
    return here.moments().count("intent start")


def test_the_command_line_starts_an_engine_afresh_with_its_conversation(here: Stack) -> None:
    here.apply()
    held, before = here.remembered(), here.engines()
    done = here.run("restart", "tiny-a", "--yes")
    assert done.returncode == 0, done.stderr
    assert "a restart was asked for" in done.stderr
    assert here.engines().keys() == before.keys()
    assert here.engines() != before
    assert here.talk()["cache_n"] >= LEAST_REUSED * held > 100
    rows = here.rows()
    for words, code, said in (
        (("tiny-b", "--yes"), 4, "tiny-b does not run, since desired.yaml does not ask for it"),
        (("tiny-q", "--yes"), 64, "no managed host has a model tiny-q"),
        (("tiny-a",), 4, "`--yes` applies without asking"),
    ):
        refused = here.run("restart", *words)
        assert (refused.returncode, said in refused.stderr) == (code, True), refused.stderr
    assert here.rows() == rows


def test_asked_twice_at_once_over_the_api_it_is_started_afresh_once(here: Stack) -> None:
    with serving(here), control(here) as api:
        here.becomes("tiny-a")
        before, begun = here.engines(), starts(here)
        asked = {"model": "tiny-a"}
        first = api.post(f"{V1}/restart", json=asked)
        assert first.status_code == httpx.codes.ACCEPTED, first.text
        second = api.post(f"{V1}/restart", params={"wait": COMMAND_SECONDS}, json=asked)
        assert (second.status_code, second.headers["x-exit-code"]) == (200, "0"), second.text
        assert starts(here) == begun + 1
        assert here.engines() != before
        listed = {one["id"]: one for one in api.get("/v1/models").json()["data"]}
        assert listed["tiny-a"]["context_length"] > 0
        assert listed["tiny-a"]["architecture"]
        assert "context_length" not in listed["tiny-b"]
        unknown = api.post(f"{V1}/restart", json={"model": "tiny-q"})
        assert unknown.status_code == httpx.codes.BAD_REQUEST
