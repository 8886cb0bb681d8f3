"""A model that is a systemd service, beside one that is a process, through the command line."""

from __future__ import annotations

import json
import os
import shlex
from typing import TYPE_CHECKING

import pytest

from reconciler.drivers.engines import embedded
from tests.booted import booted_systemd
from tests.engine import weights_in
from tests.running import until
from tests.service_stack import ServiceStack
from tests.stack import COMMAND_SECONDS, ending

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KEY = "sk-never-to-be-seen"


@pytest.fixture
def here(tmp_path: Path) -> Iterator[ServiceStack]:
    with booted_systemd() as booted:
        made = ServiceStack(tmp_path, booted)
        with ending(made):
            yield made


def test_a_service_and_a_process_take_turns(here: ServiceStack) -> None:
    here.apply()
    here.desire("tiny-b")
    assert "drop" not in here.apply().stderr
    assert here.serves()
    assert here.engines() == {}
    assert here.run("plan", "--detailed-exitcode").returncode == 0
    assert here.talk()["prompt_n"] > 1
    here.desire("tiny-a")
    here.apply()
    assert not here.serves()
    assert list(here.engines()) == ["tiny-a"]
    here.desire("tiny-b")
    here.apply()
    assert here.talk()["prompt_n"] == 1, "its conversation came back"


def test_a_service_that_was_there_before_is_adopted(here: ServiceStack) -> None:
    here.booted.run("systemctl", "start", "tiny")
    before = here.booted.shows("tiny", "MainPID")
    here.desire("tiny-b")
    here.apply()
    assert here.booted.shows("tiny", "MainPID") == before


def test_a_service_that_a_boot_started_gives_way_to_what_is_wanted(here: ServiceStack) -> None:
    here.booted.run("systemctl", "start", "tiny")
    until(here.listens, COMMAND_SECONDS)
    here.apply()
    assert (here.serves(), list(here.engines())) == (False, ["tiny-a"])


def test_a_changed_service_is_started_again_once_systemd_knows(here: ServiceStack) -> None:
    here.desire("tiny-b")
    here.apply()
    before = here.booted.shows("tiny", "MainPID")
    file = here.folder / "tiny.service"
    file.write_text(file.read_text() + "Environment=MORE=1\n")
    refused = here.apply(4)
    assert (
        "the file of tiny.service changed and systemd has not read it yet; run `systemctl"
        " daemon-reload`" in refused.stdout
    )
    assert here.booted.shows("tiny", "MainPID") == before
    here.booted.run("systemctl", "daemon-reload")
    assert "its definition changed" in here.apply().stderr
    assert here.booted.shows("tiny", "MainPID") != before
    assert here.run("plan", "--detailed-exitcode").returncode == 0


def test_a_service_is_started_again_for_every_file_that_says_how_it_runs(
    here: ServiceStack,
) -> None:
    """Also for one with a blank in its name, for an optional one, and for those of a pattern."""
    environment, optional, drop_in = (
        here.folder / name for name in ("my llm.env", "more-1.env", "my override.conf")
    )
    for file in (environment, optional, drop_in):
        file.write_text("[Service]\n" if file is drop_in else "A=1\n")
    lines = (here.folder / "tiny.service").read_text().splitlines()[2:]
    here.service(
        *lines,
        f"EnvironmentFile={environment}",
        f"EnvironmentFile=-{here.folder}/more-*.env",
        "EnvironmentFile=-/gone",
    )
    folder = here.booted.path("/run/systemd/system/tiny.service.d")
    folder.mkdir()
    (folder / drop_in.name).symlink_to(drop_in)
    here.booted.run("systemctl", "daemon-reload")
    here.desire("tiny-b")
    here.apply()
    for file in (environment, optional, drop_in):
        written = file.stat().st_mtime
        os.utime(file, (written + 3600, written + 3600))
        here.booted.run("systemctl", "daemon-reload")
        assert "its definition changed" in here.run("plan").stdout, file
        os.utime(file, (written - 3600, written - 3600))
        here.booted.run("systemctl", "daemon-reload")
        assert here.run("plan", "--detailed-exitcode").returncode == 0, file


def test_a_service_that_fails_again_and_again_is_stopped_and_the_model_before_serves(
    here: ServiceStack,
) -> None:
    here.apply()
    here.service(
        "ExecStart=/bin/sh -c 'echo no such card; exit 3'", "Restart=always", "RestartSec=200ms"
    )
    here.desire("tiny-b")
    here.apply(3)
    assert "no such card" in here.run("status").stdout
    assert here.booted.shows("tiny", "ActiveState") in {"inactive", "failed"}
    assert list(here.engines()) == ["tiny-a"]


def test_a_service_that_does_not_exist_refuses_the_plan_before_anything_is_stopped(
    here: ServiceStack,
) -> None:
    here.apply()
    engines = here.engines()
    here.booted.path("/run/systemd/system/tiny.service").unlink()
    here.booted.run("systemctl", "daemon-reload")
    here.desire("tiny-b")
    assert "there is no service tiny.service in the system's systemd" in here.apply(4).stdout
    assert here.engines() == engines


def test_init_lets_a_service_go_on_as_it_is_and_it_takes_turns_from_then_on(
    here: ServiceStack,
) -> None:
    """Its command line is an operator's: it names no alias, no metrics and no folder for slots."""
    models = here.folder / "models"
    models.mkdir()
    served = weights_in(models, seed=7)
    weights_in(models, seed=8)
    argv = [str(here.llama_server()), "-m", str(served), "--port", str(here.port)]
    here.service(f"ExecStart={shlex.join(argv)}")
    here.booted.run("systemctl", "start", "tiny")
    before = here.booted.shows("tiny", "MainPID")
    until(here.serves, COMMAND_SECONDS)
    begun = here.begin()
    assert begun["steps"] == []
    assert [host["steps"] for host in begun["plan"]["hosts"]] == [[]]
    assert (
        "launcher: {kind: systemd, unit: tiny.service, scope: system}"
        in (here.folder / "state/inventory.yaml").read_text()
    )
    here.apply()
    assert here.booted.shows("tiny", "MainPID") == before
    mine = begun["models"][0]
    other = next(name for name in begun["models"] if "8" in name)
    here.desire(other)
    here.apply()
    assert not here.serves()
    assert list(here.engines()) == [other]
    here.desire(mine)
    here.apply()
    assert here.serves()
    assert here.run("plan", "--detailed-exitcode").returncode == 0


def test_a_service_that_wants_a_key_is_never_stopped_and_with_the_key_takes_turns(
    here: ServiceStack,
) -> None:
    lines = (here.folder / "tiny.service").read_text().splitlines()[2:]
    environment, key = here.folder / "llm.env", here.folder / "key"
    environment.write_text(f"LLAMA_API_KEY={KEY}\n")
    here.service(*lines, f"EnvironmentFile={environment}")
    here.booted.run("systemctl", "start", "tiny")
    before = here.booted.shows("tiny", "MainPID")
    here.desire("tiny-b")
    until(lambda: "it wants a key" in here.run("plan").stdout, COMMAND_SECONDS)
    here.apply()
    assert "it wants a key: name it with `key:`" in here.run("doctor").stdout
    assert "locked" in here.run("status").stdout
    here.desire("tiny-a")
    assert "or write `conversations: drop` at tiny-b" in here.apply(4).stdout
    assert here.booted.shows("tiny", "MainPID") == before
    key.write_text(KEY)
    file = here.folder / "state" / "inventory.yaml"
    file.write_text(
        file.read_text().replace(
            "kind: embedded, weights", f"kind: embedded, key: {{from_file: {key}}}, weights"
        )
    )
    here.apply()
    here.desire("tiny-b")
    here.apply()
    assert here.run("plan", "--detailed-exitcode").returncode == 0
    kept = [
        path for path in here.folder.rglob("*") if path.is_file() and path not in {environment, key}
    ]
    assert not [path for path in kept if KEY.encode() in path.read_bytes()]


def test_init_over_a_service_with_a_key_names_the_key_and_never_shows_it(
    here: ServiceStack,
) -> None:
    environment = here.folder / "llm.env"
    environment.write_text(f"LLAMA_API_KEY={KEY}\n")
    argv = [
        str(here.llama_server()),
        "-m",
        str(next(here.folder.glob("*.gguf"))),
        "--port",
        str(here.port),
    ]
    here.service(f"ExecStart={shlex.join(argv)}", f"EnvironmentFile={environment}")
    here.booted.run("systemctl", "start", "tiny")
    until(here.serves, COMMAND_SECONDS)
    begun = here.begin()
    assert "wants an API key (LLAMA_API_KEY)" in begun["steps"][0]["why"][0]
    written = (here.folder / "state" / "inventory.yaml").read_text()
    assert "# key: {from_file: /PATH}   # it wants an API key (LLAMA_API_KEY)" in written
    assert KEY not in written + json.dumps(begun)


def test_a_service_that_serves_other_weights_is_named_and_left_alone(here: ServiceStack) -> None:
    link, other = here.folder / "link.gguf", here.folder / "other"
    other.mkdir()
    link.symlink_to(next(here.folder.glob("*.gguf")))
    served = {str(link): 0, str(weights_in(other, seed=7)): 4}
    here.desire("tiny-b")
    for weights, code in served.items():
        command = embedded.command(
            embedded.Options(weights=weights, context=512), "another-name", here.port
        )
        here.service(f"ExecStart={shlex.join(command.argv)}")
        here.booted.run("systemctl", "restart", "tiny")
        before = here.booted.shows("tiny", "MainPID")
        until(lambda: "is still loading" not in here.run("plan").stdout, COMMAND_SECONDS)
        planned = here.run("plan", "--detailed-exitcode")
        assert planned.returncode == code, planned.stdout
        here.apply(code)
        assert here.booted.shows("tiny", "MainPID") == before
        if code:
            assert f"tiny-b: it serves {weights}, not " in planned.stdout
        else:
            assert (
                "each of its 1 slots holds 512 tokens; inventory.yaml says `context: 4096`"
                in planned.stdout
            )
            assert "note" in here.run("doctor").stdout
    assert "Ready=False          Unmet" in here.run("status").stdout
    here.desire("tiny-a")
    here.apply()
    assert not here.serves()


def test_init_says_what_to_change_in_a_service_that_cannot_be_looked_at(here: ServiceStack) -> None:
    argv = [
        str(here.llama_server()),
        "-m",
        str(next(here.folder.glob("*.gguf"))),
        "--port",
        str(here.port),
        "--host",
        "127.0.0.2",
    ]
    here.service(f"ExecStart={shlex.join(argv)}")
    here.booted.run("systemctl", "start", "tiny")
    until(lambda: here.listens("127.0.0.2"), COMMAND_SECONDS)
    (step,) = here.begin()["steps"]
    assert step["command"] == "systemctl edit --full tiny.service && systemctl restart tiny.service"
    here.service(f"ExecStart={shlex.join(argv[:-2])}")
    here.booted.run("systemctl", "restart", "tiny")
    until(lambda: here.run("plan", "--detailed-exitcode").returncode == 0, COMMAND_SECONDS)


DOCKER = """#!/bin/sh
# Stands in for `docker run`: the server has its own control group, and the client waits for it.
server=$1; shift 6
# systemd looks for newcomers while it sends TERM: what ends the container must not be ended by it.
trap 'trap "" TERM; systemctl stop docker-{id}.scope' TERM
systemd-run --scope --collect --quiet --unit=docker-{id} "$server" "$@" &
while kill -0 $!; do wait $!; done
"""


def test_a_server_in_a_container_is_ended_by_the_service_that_runs_that_and_served_from_its_host(
    here: ServiceStack,
) -> None:
    (here.folder / "models").mkdir()
    weights = weights_in(here.folder / "models", seed=7)
    (here.folder / "bin").mkdir()
    (here.folder / "bin" / "llama-server").symlink_to(here.llama_server())
    docker = here.folder / "docker"
    docker.write_text(DOCKER.format(id="0f" * 32))
    docker.chmod(0o755)
    words = [
        str(here.folder / "llama-server"),
        "run",
        "--rm",
        "--name",
        "gemma",
        "image",
        "-m",
        str(weights),
        "-c",
        "2048",
    ]
    here.service(
        f"ExecStart={shlex.join([str(docker), *words, '--port', str(here.port)])}", "Restart=always"
    )
    here.booted.run("systemctl", "start", "tiny")
    until(here.serves, COMMAND_SECONDS)
    begun = here.begin()
    (step,) = begun["steps"]
    assert step["command"] == "systemctl disable --now tiny.service"
    assert "It runs in a container of docker (gemma), which" in " ".join(step["why"])
    assert "`reconciler import systemd` keeps both" in " ".join(step["why"])
    assert begun["files"] == ["desired.yaml", "inventory.yaml"]
    refused = here.apply(4).stdout
    assert (
        "it is in a container of docker (gemma), and `systemctl disable --now tiny.service` (as"
        " root) ends it" in refused
    )
    assert "kill" not in refused
    here.booted.run(*shlex.split(step["command"]))
    until(lambda: not here.listens(), COMMAND_SECONDS)
    here.apply()
    assert list(here.engines()) == begun["models"][:1]
