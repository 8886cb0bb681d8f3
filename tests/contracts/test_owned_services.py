"""What a service promises that systemd keeps for us, beside what every launcher does."""

from __future__ import annotations

import json
import stat
from typing import TYPE_CHECKING

import pytest

from reconciler.drivers.launchers import process, systemd
from reconciler.errors import DriverError
from reconciler.model.facts import Known, UnitIdentity
from reconciler.model.secret import FromFile
from reconciler.model.spec import Kind
from tests import running
from tests.contracts.places import (
    CONTROLLER,
    OwnedServicePlace,
    held,
    inside,
    owned_services,
    program,
)
from tests.rig import units_of
from tests.sample_worlds import marked

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from reconciler.model.spec import ModelSpec
    from tests.booted import Booted

UNIT = "reconciler-gemma3.service"
TELLER = """
import json, os, signal, sys
with open("told", "w") as file:
    json.dump([sys.argv[1:], os.getcwd(), dict(os.environ)], file)
print("ready", flush=True)
signal.pause()
"""
WORDS = ("$HOME", "${HOME}", "%h", "{% if x %}", 'a "b" \\n', "", "  blank  ")
KEY = "sk-never-to-be-seen"


@pytest.fixture(autouse=True)
def _no_process_survives_a_test() -> Iterator[None]:
    with running.ending_all():
        yield


@pytest.fixture
async def place(booted: Booted, tmp_path: Path) -> AsyncIterator[OwnedServicePlace]:
    async with owned_services("system", booted, tmp_path) as one:
        yield one


async def told(place: OwnedServicePlace, model: ModelSpec, directory: Path) -> list[object]:
    """Start a program that tells what it was given."""
    await place.launcher.start(model, marked(model, CONTROLLER))
    await place.said()
    found: list[object] = json.loads((directory / "models" / "gemma3" / "told").read_text())
    return found


def with_words(place: OwnedServicePlace, **changed: object) -> ModelSpec:
    model = place.model(TELLER)
    command = model.command.model_copy(update={"argv": (*model.command.argv, *WORDS), **changed})
    return model.model_copy(update={"command": command})


async def test_words_and_variables_arrive_as_they_are_written(
    booted: Booted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BASH_FUNC_which%%", "() { echo; }")
    monkeypatch.setenv("NOT_UTF8", "\udcff")
    folder = tmp_path / "100%h $HOME 'x'"
    async with owned_services("system", booted, folder) as place:
        env = dict(zip("ABCDEFG", WORDS, strict=True)) | {"H": "two\nlines", "I": "`x` ü"}
        words, directory, given = await told(place, with_words(place, env=env), folder)
        assert words == list(WORDS)
        assert directory == str(folder / "models" / "gemma3")
        assert isinstance(given, dict)
        assert {name: given[name] for name in env} == env


async def test_what_systemd_tells_all_services_of_llama_is_not_heard(
    place: OwnedServicePlace, tmp_path: Path
) -> None:
    place.systemctl("set-environment", "LLAMA_ARG_PORT=1", "LLAMA_CACHE=/models", "PLAIN=1")
    try:
        *_, given = await told(place, with_words(place), tmp_path)
    finally:
        place.systemctl("unset-environment", "LLAMA_ARG_PORT", "LLAMA_CACHE", "PLAIN")
    assert isinstance(given, dict)
    assert "LLAMA_ARG_PORT" not in given
    assert (given["LLAMA_CACHE"], given["PLAIN"]) == ("/models", "1")


async def test_a_secret_is_shown_by_nobody_and_kept_nowhere(
    place: OwnedServicePlace, tmp_path: Path
) -> None:
    key = tmp_path / "key"
    key.write_text(KEY)
    secrets = {"LLAMA_API_KEY": FromFile(from_file=str(key))}
    *_, given = await told(place, with_words(place, secrets=secrets), tmp_path)
    assert isinstance(given, dict)
    assert given["LLAMA_API_KEY"] == KEY
    assert KEY not in place.systemctl("show", UNIT) + place.systemctl("cat", UNIT)
    assert KEY not in place.booted.run("journalctl", "--no-pager")
    assert not list(place.booted.path("/run").glob("reconciler-*"))


async def test_a_process_and_a_service_of_one_command_are_told_apart(
    place: OwnedServicePlace,
) -> None:
    processes = process.Driver(place.access)
    kept = await place.started(running.SLEEPER)
    assert await processes.units() == Known(())
    plain = program(running.SLEEPER)
    evidence = await processes.start(plain, marked(plain, CONTROLLER))
    started = UnitIdentity.model_validate(evidence["identity"])
    fact = await processes.units()
    assert isinstance(fact, Known)
    assert [unit.identity for unit in fact.value] == [started]
    (unit,) = await place.ours()
    assert (unit.identity, len(unit.members)) == (kept, 1)
    await place.launcher.stop(unit, 5)
    assert await place.ours() == []
    assert [one.identity for one in fact.value] == [started]
    await processes.stop(fact.value[0], 5)


async def test_one_that_is_wanted_elsewhere_runs_another_definition(
    place: OwnedServicePlace,
) -> None:
    identity = await place.started(running.SLEEPER)
    options = systemd.Options(owned=True, scope="user").model_dump()
    elsewhere = place.wanted.model_copy(update={"launcher": Kind(kind="systemd", options=options)})
    given = place.wanted.model_copy(
        update={"launcher": Kind(kind="systemd", options=systemd.Options().model_dump())}
    )
    for wanted, is_current in ((place.wanted, True), (elsewhere, False), (given, False)):
        seen = units_of(await systemd.Driver(place.access, [wanted]).units())
        assert [(one.identity, one.runs(wanted)) for one in seen] == [(identity, is_current)]
        assert seen[0].mark.digest.startswith("v1:sha256:")
    orphan = held(place.wanted, identity)
    assert (await systemd.Driver(place.access, []).stop(orphan, 5))["rungs"] == ["term"]


async def problem(place: OwnedServicePlace) -> str:
    """Return why it could not be started, which the start says too."""
    model = place.model(running.SLEEPER)
    fact = await place.launcher.binary(model)
    assert isinstance(fact, Known)
    if fact.value.problem:
        with pytest.raises(DriverError) as refused:
            await place.launcher.start(model, marked(model, CONTROLLER))
        assert fact.value.problem in str(refused.value)
    return str(fact.value.problem)


async def test_a_name_that_is_masked_or_anothers_is_refused_in_words(
    place: OwnedServicePlace, tmp_path: Path
) -> None:
    assert await problem(place) == ""
    place.systemctl("mask", "--runtime", UNIT)
    assert await problem(place) == f"{UNIT} is masked; `systemctl unmask {UNIT}` frees its name"
    place.systemctl("unmask", "--runtime", UNIT)
    place.booted.define(UNIT, "[Service]\nExecStart=/bin/sleep 60\n")
    assert await problem(place) == (
        f"there is a unit {UNIT} already (/run/systemd/system/{UNIT}), which is not ours; rename"
        " it, or the model"
    )
    place.booted.path(f"/run/systemd/system/{UNIT}").unlink()
    place.systemctl("daemon-reload")
    identity = await place.started(running.SLEEPER)
    assert await problem_of_another(place, tmp_path) == (
        f"another {UNIT} runs already (pid {place.booted.shows(UNIT, 'MainPID')}); `systemctl stop"
        f" {UNIT}` ends it, or rename the model"
    )
    await place.stop(identity, 5)


async def problem_of_another(place: OwnedServicePlace, tmp_path: Path) -> str:
    """Return what a controller with another directory on the same host is told."""
    async with inside(place.booted, tmp_path / "another") as access:
        other = OwnedServicePlace(access, place.booted, "system")
        assert await other.ours() == []
        return await problem(other)


async def test_a_program_that_cannot_start_is_an_error_and_no_unit(
    place: OwnedServicePlace,
) -> None:
    model = place.wanted
    command = model.command.model_copy(update={"argv": ("/nowhere/llama-server",)})
    lost = model.model_copy(update={"command": command})
    with pytest.raises(DriverError, match=f"{UNIT} did not start: systemd-run refused: .*nowhere"):
        await place.launcher.start(lost, marked(lost, CONTROLLER))
    assert await place.ours() == []
    await place.started(running.SLEEPER)


async def test_one_that_failed_is_started_again_under_its_name(place: OwnedServicePlace) -> None:
    identity = await place.started(running.SLEEPER)
    place.systemctl("kill", "--signal=KILL", UNIT)
    running.until(lambda: place.booted.shows(UNIT, "ActiveState") == "failed")
    assert await place.ours() == []
    assert await place.started(running.SLEEPER) != identity


async def test_the_words_of_one_start_are_its_log_and_those_before_are_kept(
    place: OwnedServicePlace, tmp_path: Path
) -> None:
    identity = await place.started(
        "import signal; print('one\\nready', flush=True); signal.pause()"
    )
    await place.stop(identity, 5)
    await place.started("import signal; print('two\\nready', flush=True); signal.pause()")
    log = tmp_path / "models" / "gemma3" / "log"
    assert log.read_text() == "two\nready\n"
    assert log.with_name("log.1").read_text() == "one\nready\n"
    assert stat.S_IMODE(log.stat().st_mode) == 0o600


async def test_a_user_without_lingering_is_told_when_logind_knows_the_user(
    booted: Booted, tmp_path: Path
) -> None:
    async with owned_services("user", booted, tmp_path) as place:
        booted.write("/run/systemd/users/0", "STATE=active\n")
        try:
            assert await problem(place) == (
                f"{UNIT} would end with the last login of root; `loginctl enable-linger root` keeps"
                " that user's services"
            )
            booted.write("/var/lib/systemd/linger/root", "")
            assert await problem(place) == ""
        finally:
            booted.path("/run/systemd/users/0").unlink()
