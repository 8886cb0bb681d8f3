"""Services are imported as they are kept, and what starts models by itself is named."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from reconciler.core.importing.services import services
from reconciler.drivers.engines.llamacpp import as_flags
from reconciler.model.found_service import FoundService, FoundServices
from reconciler.model.origin import Service
from tests.imported import read_back, reported
from tests.machines import machine, server

if TYPE_CHECKING:
    from pathlib import Path

    from reconciler.core.importing.candidates_of import Report
    from reconciler.model.machine import Machine

GEMMA = ("-m", "/srv/gemma.gguf", "--port", "8081", "--slot-save-path", "/kv")


def found(name: str = "gemma.service", **changed: Any) -> FoundService:
    fields: dict[str, Any] = {"runs": "llama-server", "flags": GEMMA, **changed}
    return FoundService(service=Service(name=name, scope="system"), **fields)


def report(*found: FoundService, seen: Machine | None = None, templates: Any = ()) -> Report:
    seen = seen or machine(user="root")
    return reported(
        services(FoundServices(services=found, templates=templates), seen, as_flags), seen
    )


def test_a_service_becomes_a_model_that_is_started_and_stopped_as_it_is(tmp_path: Path) -> None:
    (model,) = read_back(report(found()), tmp_path).values()
    assert (model.name, model.port, model.launcher.kind) == ("gemma", 8081, "systemd")
    assert model.launcher.options["unit"] == "gemma.service"
    assert model.engine.options["slots"] == "/kv"
    assert "active: []" in (tmp_path / "desired.yaml").read_text()


def test_it_is_said_why_the_services_of_the_system_are_not_known() -> None:
    told = FoundServices(services=(), unseen="systemctl refused: Host is down")
    seen = machine(user="root")
    (row,) = reported(services(told, seen, as_flags), seen).rows
    assert row.why == "its services are not known: systemctl refused: Host is down"
    assert "`systemctl is-system-running` says" in row.instead


def test_an_instance_is_named_by_itself_and_variables_stand_for_flags(tmp_path: Path) -> None:
    one = found("llm@chat.service", flags=(), variables={"LLAMA_ARG_MODEL": "/srv/chat.gguf"})
    (model,) = read_back(report(one), tmp_path).values()
    assert (model.name, model.engine.options["weights"]) == ("chat", "/srv/chat.gguf")


def test_what_runs_is_active_and_a_script_is_told_as_one(tmp_path: Path) -> None:
    service = Service(name="coder.service", scope="system")
    running = server(flags=GEMMA, service=service, port=8081)
    seen = machine(user="root", servers=(running,))
    by_script = report(seen=seen)
    read_back(by_script, tmp_path)
    assert "active: coder" in (tmp_path / "desired.yaml").read_text()
    assert ("ExecStart", "changed") in {(row.key, row.became) for row in by_script.rows}
    by_itself = report(found("coder.service"), seen=seen)
    assert [row.key for row in by_itself.rows] == ["model coder"]


@pytest.mark.parametrize(
    ("changed", "why", "instead"),
    [
        ({"runs": "llama-swap"}, "it is a gateway", "systemctl disable --now gemma.service"),
        ({"runs": "vllm"}, "vLLM is not an engine", "left running"),
        ({"problem": "/etc/x.env cannot be read"}, "/etc/x.env cannot be read", "start it"),
        ({"flags": ("--models-preset", "/m.ini")}, "--models-preset makes it a router", ""),
        ({"flags": ("-hf", "org/m:Q4")}, "-hf names where", "start it"),
    ],
)
def test_what_is_no_model_is_named_with_what_to_do(
    changed: dict[str, Any], why: str, instead: str
) -> None:
    told = report(found(**changed))
    (row,) = told.rows
    assert (told.models, row.where, row.became) == ((), "gemma.service", "left out")
    assert why in row.why
    assert instead in row.instead


@pytest.mark.parametrize(
    ("changed", "key", "became"),
    [
        ({"expands": True}, "$ in ExecStart", "changed"),
        ({"log": "/var/log/llm.log"}, "log /var/log/llm.log", "left out"),
        ({"file": "/run/systemd/generator/gemma.service"}, "/run/systemd/generator/gemma.service",
         "carried"),
        ({"file": "/nix/store/x/gemma.service"}, "/nix/store/x/gemma.service", "carried"),
        ({"flags": GEMMA[:4]}, "conversations", "left out"),
    ],
)  # fmt: skip
def test_what_is_otherwise_is_named(changed: dict[str, Any], key: str, became: str) -> None:
    assert (key, became) in {(row.key, row.became) for row in report(found(**changed)).rows}


def test_a_template_without_an_instance_is_named_with_what_makes_one() -> None:
    (row,) = report(templates=("llm@.service",)).rows
    assert (row.where, row.became) == ("llm@.service", "left out")
    assert "systemctl start llm@NAME" in row.instead
