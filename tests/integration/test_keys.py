"""An engine's API key is used to look at it, and is nowhere but in its place and the engine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from reconciler.edge.http import HttpClient
from reconciler.errors import Declined
from reconciler.model.facts import Unknown
from reconciler.model.secret import FromCredential, FromEnv, FromFile
from tests import running
from tests.contracts.hosts import WAYS, reached
from tests.integration.test_serve import started
from tests.rig import rig, value
from tests.stack import Stack, ending

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic import JsonValue

    from reconciler.model.facts import Binary, Health, Unit
    from reconciler.model.secret import Secret

KEY = "sk-never-to-be-seen"


@pytest.fixture(autouse=True)
def _no_process_survives_a_test() -> Iterator[None]:
    with running.ending_all():
        yield


@pytest.fixture
def given(tmp_path: Path) -> FromFile:
    """Put a key where only its owner may read it."""
    file = tmp_path / "key"
    file.write_text(f"{KEY}\nanother-one\n")
    return FromFile(from_file=str(file))


def of_process(unit: Unit, name: str) -> bytes:
    """Return what the kernel says of a unit's process."""
    return Path(f"/proc/{unit.identity.pid}/{name}").read_bytes()


def rewrite(path: str, content: str | None) -> None:
    """Put something else into a file, or take it away."""
    if content is None:
        Path(path).unlink()
    else:
        Path(path).write_text(content)


@pytest.mark.parametrize("way", WAYS)
async def test_an_engine_with_a_key_is_seen_asked_saved_and_restored(
    tmp_path: Path, given: FromFile, way: str
) -> None:
    async with reached(way, tmp_path) as access:
        model = rig(tmp_path, access, key=given)
        async with model.running() as unit:
            url = f"http://127.0.0.1:{model.model.port}"
            assert (await HttpClient().get(f"{url}/props", running.DEADLINE)).status == 401
            assert KEY.encode() not in of_process(unit, "cmdline")
            assert (await model.answer(unit)).identity == unit.identity
            client = HttpClient(headers={"Authorization": f"Bearer {KEY}"})
            asked: JsonValue = {
                "prompt": "ba " * 300,
                "n_predict": 8,
                "id_slot": 0,
                "temperature": 0,
            }
            assert (await client.post(f"{url}/completion", asked, running.DEADLINE)).status == 200
            assert (await model.save(unit))["failed"] == []
        async with model.running() as unit:
            (slot,) = (await model.restore(unit))["slots"]
            assert slot["outcome"] == "proven"
        assert KEY not in model.log


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (
            "another-key",
            "it does not take the key in {file}: name the key that it was started with (GET",
        ),
        ("two words", "it wants a key, and what is in {file} is no key, which is one word"),
        ("", "is no key, which is one word"),
        ("a\tb", "is no key, which is one word"),
        (
            None,
            "it wants a key, and the secret in {file} cannot be read: No such file or directory",
        ),
    ],
    ids=["another", "words", "empty", "tab", "gone"],
)
async def test_a_key_that_does_not_fit_is_named_and_never_shown(
    tmp_path: Path, given: FromFile, content: str | None, said: str
) -> None:
    model, file = rig(tmp_path, key=given), given.from_file
    async with model.running() as unit:
        rewrite(file, content)
        health: Health = value(await model.engine.health(unit))
        assert (health.phase, said.format(file=file) in health.message) == ("locked", True), health
        activity = await model.engine.activity(unit)
        assert isinstance(activity, Unknown)
        shown = health.message + activity.reason
        assert not content or content not in shown


@pytest.mark.parametrize(
    "place",
    [
        FromFile(from_file="/not/there"),
        FromEnv(from_env="NOBODY_SETS_THIS"),
        FromCredential(from_credential="none"),
    ],
    ids=["file", "env", "credential"],
)
async def test_an_engine_whose_key_cannot_be_read_is_not_started(
    tmp_path: Path, place: Secret
) -> None:
    model = rig(tmp_path, key=place)
    binary: Binary = value(await model.launcher.binary(model.model))
    assert binary.problem
    with pytest.raises(Declined):
        await model.start()


async def test_no_key_of_the_environment_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("LLAMA_API_KEY", "LLAMA_SERVER_SLOTS_DEBUG", "LLAMA_ARG_ALIAS"):
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("LLAMA_CACHE", "/downloads")
    model = rig(tmp_path)
    async with model.running() as unit:
        told = of_process(unit, "environ").split(b"\0")
    assert [one for one in told if one.startswith(b"LLAMA_")] == [b"LLAMA_CACHE=/downloads"]


def test_a_key_is_written_nowhere(tmp_path: Path, given: FromFile) -> None:
    stack = Stack(tmp_path)
    stack.inventory(f", key: {{from_file: {given.from_file}}}")
    stack.desire("tiny-b")
    with ending(stack):
        said = [
            stack.run("plan", "-o", "json"),
            stack.apply(),
            stack.run("plan", "--detailed-exitcode"),
            stack.run("doctor"),
        ]
        with started(stack) as (address, _):
            asked = {"model": "tiny-b", "prompt": "hi", "max_tokens": 1}
            answer = httpx.post(f"{address}/v1/completions", json=asked, timeout=60)
            assert answer.status_code == httpx.codes.OK, answer.text
            assert KEY not in stack.watched()
        said += [
            stack.run("status", "-o", "json"),
            stack.run("history", "-o", "json"),
            stack.run("explain", "tiny-b"),
        ]
        assert said[2].returncode == 0, said[2].stdout
        assert not [one for one in said if KEY in one.stdout + one.stderr]
        kept = [
            path for path in tmp_path.rglob("*") if path.is_file() and path != Path(given.from_file)
        ]
        assert kept
        assert not [path for path in kept if KEY.encode() in path.read_bytes()]
