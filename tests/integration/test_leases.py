"""Requests bring in models that desired.yaml allows, on real engines, and the file stays above."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.integration.test_serve import started
from tests.running import until
from tests.stack import COMMAND_SECONDS, Stack, stack

QUICKLY = "min_residency: 0s\nmax_wait: 60s\n"
AT_ONCE = f"version: 1\nactive: tiny-a\nallow: any\nreturn_after: 0s\n{QUICKLY}"
NEVER = f"version: 1\nactive: tiny-a\nallow: any\nreturn_after: never\n{QUICKLY}"
PROMPT = "In chapter one the keeper counts the ships of the harbour, and writes them down."


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Stack]:
    with stack(tmp_path) as made:
        made.desired(NEVER)
        yield made


def asked(address: str, model: str, **more: object) -> httpx.Response:
    body = {"model": model, "prompt": PROMPT, "max_tokens": 4, "temperature": 0, **more}
    return httpx.post(f"{address}/v1/completions", json=body, timeout=COMMAND_SECONDS)


def text(address: str, model: str) -> str:
    answer = asked(address, model)
    assert answer.status_code == httpx.codes.OK, answer.text
    said: str = answer.json()["choices"][0]["text"]
    return said


def modes(here: Stack) -> list[str]:
    return [run["mode"] for run in here.document("history")["runs"]]


def test_a_request_brings_its_model_in_and_the_other_finds_its_conversation(here: Stack) -> None:
    with started(here) as (address, _):
        first = [text(address, model) for model in ("tiny-a", "tiny-b")]
        assert list(here.engines()) == ["tiny-b"]
        again = [asked(address, model).json() for model in ("tiny-a", "tiny-b")]
        assert [one["choices"][0]["text"] for one in again] == first
        assert first[0] != first[1]
        reused = [one["usage"]["prompt_tokens_details"]["cached_tokens"] for one in again]
        assert min(reused) > 0, "its slot was saved and restored"
        assert modes(here) == ["forward", "lease", "forward", "lease"]
        back = here.run("rollback", "--yes")
        assert (back.returncode, "there is no earlier state" in back.stderr) == (64, True)
        status = here.document("status")
        assert status["hosts"][0]["conditions"][0]["status"] == "True", status


def test_what_the_file_wants_comes_back_when_nothing_asks(here: Stack) -> None:
    here.desired(AT_ONCE)
    with started(here) as (address, _):
        text(address, "tiny-b")
        here.becomes("tiny-a")


def test_clients_of_both_models_are_all_answered(here: Stack) -> None:
    with started(here) as (address, _), ThreadPoolExecutor(6) as pool:
        wanted = [("tiny-a", "tiny-b")[number % 2] for number in range(30)]
        answers = list(pool.map(lambda model: (model, text(address, model)), wanted))
        known = {model: {said for name, said in answers if name == model} for model in wanted}
        assert [len(said) for said in known.values()] == [1, 1], known


def test_one_that_cannot_be_brought_in_is_told_and_the_files_model_serves_on(here: Stack) -> None:
    here.inventory(engine="kind: embedded, weights: nowhere.gguf, context: 512")
    with started(here) as (address, _):
        said = text(address, "tiny-a")
        refused = asked(address, "tiny-b")
        assert refused.status_code == httpx.codes.SERVICE_UNAVAILABLE
        assert "nowhere.gguf" in refused.json()["error"]["message"]
        assert asked(address, "tiny-b").status_code == httpx.codes.SERVICE_UNAVAILABLE
        assert here.watched().count("cannot be brought in") == 1, "it is not tried again at once"
        assert text(address, "tiny-a") == said


def test_that_the_files_model_cannot_start_keeps_no_other_out(here: Stack) -> None:
    here.inventory(engine="kind: embedded, weights: nowhere.gguf, context: 512")
    here.desired(f"version: 1\nactive: tiny-b\nallow: any\n{QUICKLY}")
    with started(here) as (address, _), ThreadPoolExecutor(1) as pool:
        said = text(address, "tiny-a")
        waiting = pool.submit(text, address, "tiny-b")
        assert [text(address, "tiny-a") for _ in range(3)] == [said] * 3
        here.inventory()
        assert waiting.result(COMMAND_SECONDS)


def test_a_load_that_nobody_waits_for_any_more_ends(here: Stack) -> None:
    here.inventory(engine=here.frail_engine("busy"))
    with started(here) as (address, _):
        said = text(address, "tiny-a")
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(f"{address}/v1/completions", json={"model": "tiny-b"}, timeout=1)
        until(lambda: list(here.engines()) == ["tiny-b"], within=COMMAND_SECONDS)
        here.becomes("tiny-a")
        assert text(address, "tiny-a") == said
        assert "no request waits for tiny-b any more" in here.watched()


def test_the_file_is_above_what_requests_brought_in(here: Stack) -> None:
    with started(here) as (address, _):
        text(address, "tiny-b")
        here.desired("version: 1\nactive: tiny-a\n")
        here.becomes("tiny-a")
        refused = asked(address, "tiny-b")
        assert refused.status_code == httpx.codes.SERVICE_UNAVAILABLE
        assert "requests may not bring it in" in refused.json()["error"]["message"]


def test_after_kill_9_what_requests_brought_in_serves_on(here: Stack) -> None:
    with started(here, code=-signal.SIGKILL) as (address, process):
        said = text(address, "tiny-b")
        before = here.engines()
        process.kill()
    with started(here) as (address, _):
        assert text(address, "tiny-b") == said
        assert here.engines() == before


def test_without_a_gateway_the_file_alone_counts(here: Stack) -> None:
    with started(here) as (address, _):
        text(address, "tiny-b")
    assert "tiny-b -> tiny-a" in here.run("plan").stdout
    here.apply()
    assert list(here.engines()) == ["tiny-a"]
    with here.watching():
        until(lambda: here.has_followed(1), within=COMMAND_SECONDS)
        assert list(here.engines()) == ["tiny-a"]


def test_a_person_takes_a_model_for_a_while_and_then_the_files_model_is_back(here: Stack) -> None:
    written = (here.folder / "state" / "desired.yaml").read_bytes()
    with started(here) as (address, _):
        first = text(address, "tiny-a")
        took = here.run("use", "tiny-b", "--for", "1h", "--reason", "a trial", "--yes")
        assert took.returncode == 0, took.stderr
        assert "desired.yaml is not changed" in took.stderr
        assert text(address, "tiny-b") != first
        refused = asked(address, "tiny-a")
        assert refused.status_code == httpx.codes.SERVICE_UNAVAILABLE
        assert re.search(r"uses tiny-b until .*: a trial", refused.json()["error"]["message"])
        listed = httpx.get(f"{address}/v1/models").json()["data"]
        assert "a trial" in listed[0]["status"]["reason"]
        explained = here.run("explain", "tiny-a").stdout
        assert "makes way" in explained
        assert "a trial" in explained
        # The end that was said last counts.
        assert here.run("use", "tiny-b", "--for", "1s", "--yes").returncode == 0
        here.becomes("tiny-a")
        again = asked(address, "tiny-a").json()
        assert again["choices"][0]["text"] == first
        assert again["usage"]["prompt_tokens_details"]["cached_tokens"] > 0
        assert modes(here) == ["forward", "lease", "forward"]
    assert (here.folder / "state" / "desired.yaml").read_bytes() == written


def test_what_a_person_took_gives_way_to_the_file_only_when_that_was_approved(here: Stack) -> None:
    with started(here):
        assert here.run("use", "tiny-b", "--for", "1h", "--yes").returncode == 0
        unasked = here.run("use", "tiny-a")
        assert unasked.returncode == 4
        assert "stop           tiny-b" in unasked.stderr
        assert list(here.engines()) == ["tiny-b"]
        back = here.run("use", "tiny-a", "--yes")
        assert (back.returncode, list(here.engines())) == (0, ["tiny-a"])


def test_without_a_gateway_a_person_takes_a_model_and_gives_it_back_sooner(here: Stack) -> None:
    here.desire("tiny-a")
    here.apply()
    assert here.run("use", "tiny-b", "--for", "1h", "--yes").returncode == 0
    here.apply()
    assert list(here.engines()) == ["tiny-b"]
    ready = here.document("status")["hosts"][0]["conditions"][0]
    assert ready["status"] == "True"
    assert "uses tiny-b until" in ready["message"]
    back = here.run("use", "tiny-a", "--yes")
    assert (back.returncode, list(here.engines())) == (0, ["tiny-a"])
    assert "nothing to write" in back.stderr


def test_a_person_takes_a_model_beside_what_the_file_wants_and_cannot_have(here: Stack) -> None:
    here.inventory(', args: ["--threads", "many"]')
    here.desire("tiny-b")
    here.apply(3)
    assert here.engines() == {}
    took = here.run("use", "tiny-a", "--for", "1h", "--yes")
    assert (took.returncode, list(here.engines())) == (0, ["tiny-a"]), took.stderr
    # What failed is not tried again unasked, and how to ask is said.
    refused = here.run("use", "tiny-b", "--yes")
    assert (refused.returncode, list(here.engines())) == (4, ["tiny-a"])
    assert "fix the cause and apply again, or `reconciler retry local`" in refused.stderr
