"""What the launcher of compose services promises beyond what every launcher does."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from reconciler.drivers.launchers import compose
from reconciler.errors import DriverError
from reconciler.model.facts import Known, Mark, Unit, UnitIdentity
from reconciler.model.spec import Kind
from reconciler.onhost import compose_program
from tests import running
from tests.composed import PROJECT
from tests.contracts.places import ComposePlace, composed
from tests.dockers import IMAGE, PROGRAMS
from tests.rig import units_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from tests.dockers import Dockerd

MARK = Mark(**running.mark("gemma3"))
LABEL = "com.docker.compose."
LACKS = f"there is no container of gemma3 of the compose project {PROJECT}"
SLEEP = ["/bin/sleep", "60"]
UNSEEN = "whether its compose file changed is not seen: {}"


@pytest.fixture(autouse=True)
def _no_process_survives_a_test() -> Iterator[None]:
    with running.ending_all():
        yield


@pytest.fixture
async def place(docker: Dockerd, tmp_path: Path) -> AsyncIterator[ComposePlace]:
    async with composed("thread", docker, tmp_path) as one:
        yield one


@pytest.fixture
def _no_program(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compose_program, "_WORDS", (("no-such-compose",),))


async def only(place: ComposePlace) -> Unit:
    (unit,) = await place.ours()
    return unit


async def barred(place: ComposePlace) -> str:
    """Return why it could not be started, which the start says too."""
    fact = await place.launcher.binary(place.wanted)
    assert isinstance(fact, Known)
    if fact.value.problem:
        with pytest.raises(DriverError) as refused:
            await place.launcher.start(place.wanted, MARK)
        assert str(refused.value) == fact.value.problem
    return str(fact.value.problem)


def made(place: ComposePlace, **labels: str) -> None:
    """Make a container as a compose program would that gives these labels."""
    told = {"project": PROJECT, "service": "gemma3", "container-number": "1", **labels}
    place.project.dockerd.ask(
        "POST",
        "/containers/create",
        {
            "Image": IMAGE,
            "Entrypoint": SLEEP,
            "Labels": {f"{LABEL}{key}": value for key, value in told.items()},
            "HostConfig": {"NetworkMode": "host", "Binds": PROGRAMS},
        },
    )


async def test_a_file_that_changed_is_another_definition_until_it_is_started_again(
    place: ComposePlace,
) -> None:
    await place.started(running.SLEEPER)
    before = await only(place)
    assert (before.runs(place.wanted), before.notes) == (True, ())
    place.model(running.SLEEPER + " # changed")
    changed = await only(place)
    assert (changed.identity, changed.runs(place.wanted)) == (before.identity, False)
    await place.launcher.stop(changed, 5)
    evidence = await place.launcher.start(place.wanted, MARK)
    after = await only(place)
    assert (after.runs(place.wanted), after.argv[-1].endswith(" # changed")) == (True, True)
    assert after.identity == UnitIdentity.model_validate(evidence["identity"])
    assert len(place.project.containers()) == 1


async def test_one_that_did_not_change_keeps_its_container(place: ComposePlace) -> None:
    await place.started(running.SLEEPER)
    (before,) = place.project.containers()
    unit = await only(place)
    await place.launcher.stop(unit, 5)
    await place.launcher.start(place.wanted, MARK)
    (after,) = place.project.containers()
    assert after["Id"] == before["Id"]
    assert (await only(place)).identity != unit.identity


async def test_a_container_that_was_removed_is_made_again(place: ComposePlace) -> None:
    await place.started(running.SLEEPER)
    place.project.remove()
    assert await place.ours() == []
    assert await barred(place) == ""
    await place.launcher.start(place.wanted, MARK)
    assert (await only(place)).leader


async def test_without_a_container_a_file_has_to_define_the_service(place: ComposePlace) -> None:
    assert await barred(place) == f"{LACKS}, and there is no compose file {place.project.file}"
    place.project.file.write_text("services: [")
    assert "config --hash gemma3` says: " in await barred(place)
    place.project.service = "another"
    place.project.define(SLEEP)
    assert "No such service: gemma3" in await barred(place)
    nameless = Kind(
        kind="compose", options={"project": PROJECT, "socket": place.project.dockerd.socket}
    )
    wanted = place.wanted.model_copy(update={"launcher": nameless})
    fact = await compose.Driver(place.access, [wanted]).binary(wanted)
    assert isinstance(fact, Known)
    assert fact.value.problem == (
        f"{LACKS}; name the file that defines it with file:, or make it with `compose up`"
    )


NO_IMAGE = "there is no image {} here; {} it with `docker-compose -p llm -f {} {} gemma3`"


@pytest.mark.parametrize(
    ("settings", "named", "verb", "word"),
    [
        ({"image": "no/such:1"}, "no/such:1", "fetch", "pull"),
        ({"image": "no/such:1", "build": "."}, "no/such:1", "build", "build"),
        ({"image": None, "build": "."}, f"{PROJECT}-gemma3", "build", "build"),
    ],
)
async def test_an_image_is_neither_pulled_nor_built_unasked(
    place: ComposePlace, settings: dict[str, str], named: str, verb: str, word: str
) -> None:
    place.project.define(SLEEP, **settings)
    lacking = NO_IMAGE.format(named, verb, place.project.file, word)
    assert await barred(place) == f"{LACKS}, and {lacking}"
    assert place.project.containers() == []
    place.project.define(SLEEP)
    assert await barred(place) == ""
    await place.launcher.start(place.wanted, MARK)
    # Its container is of the image that is there, and would be made again of the other.
    place.project.define(SLEEP, **settings)
    assert await barred(place) == lacking
    await place.launcher.stop(await only(place), 5)
    assert await barred(place) == lacking


async def test_what_would_be_noticed_after_it_was_made_is_said_before(place: ComposePlace) -> None:
    place.project.dockerd.create("taken", SLEEP, place.project.folder)
    place.project.define(SLEEP, container_name="taken")
    assert await barred(place) == (
        f"{LACKS}, and there is another container taken; remove it (`docker rm taken`), or change"
        " `container_name:` in its file"
    )
    place.project.dockerd.remove("taken")
    assert await barred(place) == ""
    await place.launcher.start(place.wanted, MARK)
    place.project.define(SLEEP, container_name="taken", stop_signal="SIGKILL")
    assert await barred(place) == ""
    place.project.remove()
    for mode in ({"network_mode": None}, {"network_mode": "none", "ports": []}):
        place.project.define(SLEEP, **mode)
        assert f"{LACKS}, and gemma3 of the compose project {PROJECT} is not on" in await barred(
            place
        )
    options = {"project": "L.lm", "file": str(place.project.file)}
    kind = Kind(kind="compose", options={**options, "socket": place.project.dockerd.socket})
    wanted = place.wanted.model_copy(update={"launcher": kind})
    fact = await compose.Driver(place.access, [wanted]).binary(wanted)
    assert isinstance(fact, Known)
    assert "compose calls no project L.lm, but llm; write `project: llm`" in fact.value.problem
    assert place.project.containers() == []


async def test_what_turns_out_not_to_be_a_model_was_never_started(place: ComposePlace) -> None:
    place.project.define(SLEEP, scale=2)
    with pytest.raises(DriverError, match="has 2 containers, and a model is one"):
        await place.launcher.start(place.wanted, MARK)
    assert {one["State"] for one in place.project.containers()} == {"created"}


async def test_what_was_built_is_known_by_the_name_that_compose_gives_it(
    place: ComposePlace,
) -> None:
    (place.project.folder / "Dockerfile").write_text(f"FROM {IMAGE}")
    place.project.define(SLEEP, image=None, build=".")
    place.project.run("build", "gemma3")
    assert await barred(place) == ""
    await place.launcher.start(place.wanted, MARK)
    assert (await only(place)).leader


async def test_without_a_file_it_is_the_one_that_the_container_names(place: ComposePlace) -> None:
    await place.started(running.SLEEPER)
    nameless = Kind(
        kind="compose", options={"project": PROJECT, "socket": place.project.dockerd.socket}
    )
    wanted = place.wanted.model_copy(update={"launcher": nameless})
    driver = compose.Driver(place.access, [wanted])
    for text, is_current in (("", True), (" # changed", False)):
        place.model(running.SLEEPER + text)
        seen = units_of(await driver.units())
        assert [(unit.runs(wanted), unit.notes) for unit in seen] == [(is_current, ())]


@pytest.mark.usefixtures("_no_program")
async def test_without_a_program_what_is_there_is_started_and_nothing_is_guessed(
    place: ComposePlace,
) -> None:
    place.model(running.SLEEPER)
    assert await barred(place) == (
        f"{LACKS}, and no compose program is installed to make one; install it, or make the"
        f" container elsewhere: `docker compose -p {PROJECT} -f {place.project.file} up --no-start"
        " gemma3`"
    )
    place.project.run("up", "--no-start", "gemma3")
    assert await barred(place) == ""
    await place.launcher.start(place.wanted, MARK)
    place.model(running.SLEEPER + " # changed")
    assert (await only(place)).notes == (UNSEEN.format("no compose program is installed"),)
    assert (await only(place)).runs(place.wanted)


@pytest.mark.parametrize(
    ("labels", "why"),
    [
        ({}, "podman-compose does not tell"),
        (
            {"config-hash": "0" * 64, "version": "v2.24.5"},
            "its container was made by version v2.24.5, not 1.29.2",
        ),
        ({"config-hash": "0" * 64, "version": "1.29.2"}, "there is no compose file {}"),
    ],
)
async def test_what_cannot_be_compared_is_a_note(
    place: ComposePlace, labels: dict[str, str], why: str
) -> None:
    made(place, **labels)
    await place.launcher.start(place.wanted, MARK)
    unit = await only(place)
    assert (unit.runs(place.wanted), unit.notes) == (
        True,
        (UNSEEN.format(why.format(place.project.file)),),
    )


async def test_a_file_with_variables_that_are_not_set_here_is_not_compared(
    place: ComposePlace,
) -> None:
    place.project.define(SLEEP, environment={"KEY": "${NOT_SET_HERE}"})
    place.project.run("up", "--no-start", "gemma3")
    await place.launcher.start(place.wanted, MARK)
    (note,) = (await only(place)).notes
    assert "it reads variables that are not set here (The NOT_SET_HERE variable" in note


async def test_what_compose_runs_once_is_not_the_service_and_two_of_it_are_not_one(
    place: ComposePlace,
) -> None:
    made(place, oneoff="True")
    assert LACKS in await barred(place)
    for number in ("2", "1"):
        made(place, **{"container-number": number})
    assert await barred(place) == (
        f"gemma3 of the compose project {PROJECT} has 2 containers, and a model is one; scale it"
        " down to 1"
    )


async def test_a_service_on_another_network_is_not_started(place: ComposePlace) -> None:
    place.project.define(SLEEP, network_mode="none")
    place.project.run("up", "--no-start", "gemma3")
    assert await barred(place) == (
        f"gemma3 of the compose project {PROJECT} is not on the host's network, and publishes no"
        " port on its loopback; write `network_mode: host` at it in its compose file, or `ports:`"
        " with `127.0.0.1:PORT:PORT`"
    )
