"""Doctor names what starts a model's container beside us, and what its engine's socket means."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from reconciler.core.report import container_findings, findings
from reconciler.model.found_container import ContainerEngine
from reconciler.model.origin import Container, Service
from reconciler.model.spec import Kind
from tests.imported import SOCKET, container
from tests.machines import machine, server
from tests.sample_worlds import OURS, model, slice_of, world

if TYPE_CHECKING:
    from reconciler.model.findings import Finding

GEMMA = model("gemma", launcher=Kind(kind="docker"))
NAMED = model("b", launcher=Kind(kind="docker", options={"container": "c", "socket": "/run/x"}))
COMPOSED = model("web", launcher=Kind(kind="compose", options={"project": "llm"}))
PROCESS = model("p")


def engine(**changed: Any) -> ContainerEngine:
    fields = {"socket": SOCKET, "usual": True, "usable": True, "group": "docker", **changed}
    return ContainerEngine(**fields)


def of_engines(user: str, *engines: ContainerEngine) -> list[Finding]:
    slice_ = slice_of(None, GEMMA, PROCESS)
    return list(container_findings.of_engines(slice_, machine(user=user, engines=engines)))


def test_the_sockets_that_models_name_are_asked_too() -> None:
    assert container_findings.sockets(slice_of(None, GEMMA, NAMED, PROCESS)) == ("/run/x",)


def test_who_may_use_an_engine_is_told_what_that_means() -> None:
    (note,) = of_engines("ann", engine())
    assert (note.level, "whatever root may" in note.found) == ("note", True)
    (wrong,) = of_engines("ann", engine(usable=False))
    assert (wrong.level, "`sudo usermod -aG docker ann`" in wrong.fix) == ("wrong", True)
    assert of_engines("root", engine()) == []
    assert of_engines("ann", engine(usual=False)) == []


@pytest.mark.parametrize(
    ("policy", "told"),
    [("always", True), ("unless-stopped", True), ("on-failure", False), ("no", False)],
)
def test_a_container_that_comes_back_by_itself_is_named_with_what_ends_that(
    policy: str, *, told: bool
) -> None:
    seen = machine(containers=(container(policy=policy),), engines=(engine(),))
    found = list(container_findings.of_model(GEMMA, seen))
    assert [one.fix for one in found] == ["`docker update --restart=no gemma`"] * told
    assert list(container_findings.of_model(PROCESS, seen)) == []


def test_only_the_container_of_the_engine_that_is_named_is_meant() -> None:
    here = container(name="c", policy="always")
    elsewhere = here.model_copy(update={"socket": "/run/x"})
    engines = (engine(), engine(socket="/run/x", usual=False))
    assert not list(
        container_findings.of_model(NAMED, machine(containers=(here,), engines=engines))
    )
    (found,) = container_findings.of_model(NAMED, machine(containers=(elsewhere,), engines=engines))
    assert "container c" in found.found


def test_a_service_that_starts_a_container_is_named_with_what_ends_that() -> None:
    inside = Container(
        runtime="docker",
        name="gemma",
        engine=SOCKET,
        service=Service(name="gem.service", scope="system"),
    )
    seen = machine(
        containers=(container(),), engines=(engine(),), servers=(server(container=inside),)
    )
    (found,) = container_findings.of_model(GEMMA, seen)
    assert found.found == "gem.service starts container gemma, whatever desired.yaml says"
    assert found.fix == "`systemctl disable --now gem.service`, then `reconciler apply`"


def test_the_container_of_a_compose_service_is_found_by_its_project() -> None:
    policy = {"policy": "always", "service": "web"}
    ours = container(name="llm-web-1", project="llm", **policy)
    other = container(name="other-web-1", project="other", **policy)
    seen = machine(containers=(other, ours), engines=(engine(),))
    (found,) = container_findings.of_model(COMPOSED, seen)
    assert found.fix == "`docker update --restart=no llm-web-1`"


def test_what_starts_a_container_beside_us_is_found_among_all_that_is_of_a_host() -> None:
    slice_ = slice_of(("gemma",), GEMMA)
    seen = machine(containers=(container(policy="always"),), engines=(engine(),))
    found = findings.of_host(slice_, world(slice_), seen, OURS)
    assert "`docker update --restart=no gemma`" in [one.fix for one in found]
