"""Ten ways in which people run engines: each is imported, or named with where it stands."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from reconciler.config import compose_file
from reconciler.core.importing.services import services
from reconciler.core.onboarding.candidates import candidates
from reconciler.core.onboarding.takeover import steps
from reconciler.drivers.engines.llamacpp import adopted, as_flags
from reconciler.errors import ConfigError
from reconciler.model.found_service import FoundService, FoundServices
from reconciler.model.origin import Container, Service
from reconciler.model.place import Inside
from tests.imported import FIXTURES, of_compose, read_back, reported
from tests.machines import lxc, machine, server

if TYPE_CHECKING:
    from pathlib import Path

    from reconciler.core.importing.candidates_of import Report
    from reconciler.model.found_service import Runs

USER = Service(name="llama-swap.service", scope="user")
SCRIPT = Service(name="coder.service", scope="system")
CODER = ("-m", "/srv/coder.gguf", "-c", "8192", "--port", "8081")
GENERATED = "/run/systemd/generator/llama.service"
NIX = "/nix/store/abc-unit/llama-cpp-chat.service"


def of_services(*found: FoundService, **seen: object) -> Report:
    here = machine(user="root", **seen)
    imported = services(FoundServices(services=found), here, as_flags)
    return reported(imported, here)


def service(name: str, runs: Runs = "llama-server", **changed: object) -> FoundService:
    of_it = {"service": Service(name=name, scope="system"), "runs": runs, **changed}
    return FoundService.model_validate(of_it)


@pytest.mark.parametrize(
    ("name", "models"),
    [
        ("one_service.yaml", {"coder"}),
        ("variables.yaml", {"llm"}),
        ("pair_of_one_port.yaml", {"big", "small"}),
    ],
)
def test_compose_files_with_words_variables_and_profiles(
    name: str, models: set[str], tmp_path: Path
) -> None:
    assert set(read_back(of_compose(FIXTURES / name), tmp_path)) == models


def test_siblings_that_llama_swap_starts_by_a_socket_are_refused_with_the_line(
    tmp_path: Path,
) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("macros: {run: docker run --rm}\nmodels:\n  chat: {cmd: '${run} --port 1'}\n")
    with pytest.raises(ConfigError, match="`models:` in line 2 is llama-swap's"):
        compose_file.read(str(path), {})


def test_llama_swap_as_a_user_s_unit_is_a_gateway_and_is_named_with_what_ends_it() -> None:
    (row,) = of_services(FoundService(service=USER, runs="llama-swap")).rows
    assert row.where == "llama-swap.service"
    assert "`systemctl --user disable --now llama-swap.service`" in row.instead


def test_a_script_with_an_environment_file_is_imported_while_it_runs(tmp_path: Path) -> None:
    running = server(flags=CODER, service=SCRIPT, port=8081)
    report = of_services(servers=(running,))
    (model,) = read_back(report, tmp_path).values()
    assert model.launcher.options["unit"] == "coder.service"
    assert ("ExecStart", "coder.service") in {(row.key, row.where) for row in report.rows}


def test_a_unit_of_quadlet_is_a_model_that_keeps_what_its_container_mounts(tmp_path: Path) -> None:
    weights = {"inside": "/m/a.gguf", "outside": "/srv/a.gguf"}
    made = {"flags": ("-m", "/m/a.gguf"), "files": (weights,), "running": True}
    report = of_services(service("llama.service", "a container", file=GENERATED, **made))
    (model,) = read_back(report, tmp_path).values()
    assert model.launcher.options["container"] is True
    assert (model.inside, report.models[0].serves) == (
        Inside(kind="systemd", name="system/llama.service"),
        True,
    )
    keys = {row.key: row.became for row in report.rows}
    assert keys == {"model llama": "carried", GENERATED: "carried", "conversations": "left out"}


@pytest.mark.parametrize(
    ("told", "why", "instead"),
    [
        ({"problem": "no image"}, "too little is known: no image", "correct that"),
        ({"apart": True, "flags": CODER}, "its own network", "`--network=host`"),
    ],
)
def test_a_container_of_a_service_that_cannot_be_reached_is_named_with_two_ways(
    told: dict[str, object], why: str, instead: str
) -> None:
    (row,) = of_services(service("llama.service", "a container", **told)).rows
    assert (row.where, row.became) == ("llama.service", "left out")
    assert why in row.why
    assert instead in row.instead
    assert "`systemctl disable --now llama.service`" in row.instead


def test_weights_that_a_container_of_a_service_has_alone_are_said() -> None:
    weights = {"inside": "/app/a.gguf", "outside": ""}
    report = of_services(
        service("llama.service", "a container", flags=("-m", "/app/a.gguf"), files=(weights,))
    )
    assert "/app/a.gguf" in {row.key for row in report.rows}


def test_a_router_with_presets_is_named_with_its_flag() -> None:
    flags = ("--models-preset", "/etc/llm/models.ini", "--models-max", "1")
    (row,) = of_services(service("router.service", flags=flags)).rows
    assert (row.where, "--models-preset" in row.why) == ("router.service", True)


def test_an_engine_inside_a_container_of_proxmox_is_a_service_of_that() -> None:
    running = server(
        container=Container(runtime="Proxmox VE", name="101"), program="", flags=("-m", "/m/a.gguf")
    )
    kept = lxc(kind="pct", name="101", service="llama.service", network="own")
    seen = machine(user="root", servers=(running,), lxcs=(kept,))
    found = candidates(seen, {running.pid: adopted(running)})
    assert steps(seen, found) == ()
    assert found[0].kept is not None
    assert found[0].kept.launcher == {
        "kind": "pct", "ct": 101, "service": "llama.service", "network": "own",
    }  # fmt: skip


def test_units_that_nix_writes_are_started_and_stopped_and_never_edited(tmp_path: Path) -> None:
    report = of_services(service("llama-cpp-chat.service", flags=CODER, file=NIX))
    (model,) = read_back(report, tmp_path).values()
    assert model.name == "llama-cpp-chat"
    (row,) = [row for row in report.rows if row.key == NIX]
    assert "never edited; that program may start it again" in row.why
