"""Whoever serves already is ended by one exact command, and can be kept under systemd instead."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.core.onboarding.candidates import Candidate, candidates
from reconciler.core.onboarding.takeover import steps, units
from reconciler.model.origin import Container, Service
from tests.imported import SOCKET, container
from tests.machines import adopted, file, lxc, machine, server

OF_SYSTEM = Service(name="llama.service", scope="system")
OF_USER = Service(name="llama.service", scope="user")
DOCKER = Container(runtime="docker", name="gemma")
RUN_ONCE = Service(name="run-u7.service", scope="user")


def candidate(**changed: Any) -> Candidate:
    return Candidate("qwen", file("/m/q.gguf"), adopted(weights="/m/q.gguf"), server(**changed))


@pytest.mark.parametrize(
    ("user", "changed", "command"),
    [
        ("ann", {}, "kill 812"),
        ("bob", {}, "sudo kill 812"),
        ("root", {}, "kill 812"),
        ("ann", {"service": RUN_ONCE}, "systemctl --user disable --now run-u7.service"),
        ("bob", {"service": OF_USER}, "sudo systemctl --user -M ann@ disable --now llama.service"),
        ("root", {"service": OF_USER}, "systemctl --user -M ann@ disable --now llama.service"),
    ],
)
def test_a_stranger_is_ended_by_one_command(
    user: str, changed: dict[str, Any], command: str
) -> None:
    one = candidate(**changed)
    (step,) = steps(machine(user=user, servers=(one.server,)), [one])
    assert step.command == command
    assert "pid 812" in step.why[0]


@pytest.mark.parametrize(("user", "sudo"), [("ann", "sudo "), ("root", "")])
def test_one_of_two_servers_of_a_service_is_ended_with_it(user: str, sudo: str) -> None:
    both = [candidate(service=OF_SYSTEM), candidate(service=OF_SYSTEM, pid=813)]
    found = steps(machine(user=user, servers=[one.server for one in both]), both)
    assert [step.command for step in found] == [f"{sudo}systemctl disable --now llama.service"] * 2


@pytest.mark.parametrize("service", [OF_USER, OF_SYSTEM])
def test_a_service_goes_on_as_it_is(service: Service) -> None:
    one = candidate(service=service, flags=("--host", "::"))
    assert steps(machine(servers=(one.server,)), [one]) == ()


@pytest.mark.parametrize(
    ("user", "service", "systemctl"),
    [
        ("ann", OF_USER, "systemctl --user"),
        ("ann", OF_SYSTEM, "sudo systemctl"),
        ("root", OF_SYSTEM, "systemctl"),
    ],
)
def test_a_service_that_cannot_be_looked_at_is_changed_and_not_ended(
    user: str, service: Service, systemctl: str
) -> None:
    one = candidate(
        service=service,
        flags=("--host=10.0.0.7", "--api-key", "(hidden)", "--api-key=(hidden)", "--no-slots"),
    )
    key, step = steps(machine(user=user, servers=(one.server,)), [one])
    assert (
        step.command
        == f"{systemctl} edit --full llama.service && {systemctl} restart llama.service"
    )
    assert "Take --no-slots, --host 10.0.0.7 out of its ExecStart=" in step.why[1]
    assert (key.command, key.why[0]) == (
        "",
        "qwen keeps running as llama.service, and wants an API key (--api-key).",
    )


@pytest.mark.parametrize(
    ("changed", "source"),
    [
        ({"variables": ("LLAMA_API_KEY", "LLAMA_ARG_PORT")}, "LLAMA_API_KEY"),
        ({"flags": ("--api-key=(hidden)",)}, "--api-key"),
        ({"flags": ("--api-key-file", "/keys/llm")}, None),
        ({"variables": ("LLAMA_ARG_PORT",)}, None),
    ],
)
def test_a_service_with_a_key_goes_on_and_it_is_said_how_to_name_that(
    changed: dict[str, Any], source: str | None
) -> None:
    one = candidate(service=OF_USER, **changed)
    found = steps(machine(servers=(one.server,)), [one])
    assert [step.command for step in found] == ([] if source is None else [""])
    assert source is None or f"wants an API key ({source})" in found[0].why[0]


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (("--host", "10.0.0.7"), True),
        (("--host=10.0.0.7",), True),
        (("--host", "127.0.0.1"), False),
        ((), False),
        (("--host", "10.0.0.9", "--host", "10.0.0.7"), True),
        (("--host", "10.0.0.7", "--host", "127.0.0.1"), False),
    ],
)
def test_clients_that_lose_their_way_are_mentioned(flags: tuple[str, ...], told: bool) -> None:
    (step,) = steps(machine(), [candidate(flags=flags)])
    assert (
        any("Clients on other machines reach it on 10.0.0.7" in sentence for sentence in step.why)
        is told
    )


def test_a_unit_of_ours_and_a_model_that_is_not_served_need_nothing() -> None:
    found = [candidate(model="qwen"), Candidate("a", file("/m/a.gguf"))]
    assert (steps(machine(), found), units(found)) == ((), {})


def test_only_what_was_started_by_hand_gets_a_unit() -> None:
    assert units([candidate(service=OF_USER), candidate(program="")]) == {}
    assert list(units([candidate()])) == ["qwen.service"]


def test_a_unit_runs_exactly_what_ran_and_holds_no_secret() -> None:
    flags = (
        "-m",
        "my models/100%.gguf",
        "--api-key",
        "(hidden)",
        "--api-key=(hidden)",
        "-p",
        'say "$HOME" \\ now',
        "-x",
        "",
    )
    text = units([candidate(flags=flags)])["qwen.service"]
    assert "WorkingDirectory=/home/ann\n" in text
    assert (
        'ExecStart=/opt/llama/llama-server -m "my models/100%%.gguf" -p "say \\"$$HOME\\" \\\\ now"'
        ' -x ""\n' in text
    )
    assert "hidden" not in text
    assert text.count("# --api-key is a secret") == 2


@pytest.mark.parametrize(
    ("user", "container", "command"),
    [
        ("root", DOCKER, "docker stop gemma"),
        ("ann", DOCKER, "sudo docker stop gemma"),
        ("ann", Container(runtime="podman", name="gemma", user="ann"), "podman stop gemma"),
        (
            "bob",
            Container(runtime="podman", name="gemma", user="ann"),
            "sudo -u ann podman stop gemma",
        ),
        (
            "ann",
            Container(runtime="docker", name="gemma", service=OF_SYSTEM),
            "sudo systemctl disable --now llama.service",
        ),
        (
            "ann",
            Container(runtime="podman", user="ann", service=OF_USER),
            "systemctl --user disable --now llama.service",
        ),
        (
            "bob",
            Container(runtime="podman", user="ann", service=OF_USER),
            "sudo systemctl --user -M ann@ disable --now llama.service",
        ),
        ("root", Container(runtime="Kubernetes"), ""),
        ("root", Container(runtime="LXC", name="101"), "lxc-stop -n 101"),
        ("ann", Container(runtime="Proxmox VE", name="101"), "sudo pct shutdown 101"),
    ],
)
def test_what_runs_in_a_container_is_ended_by_what_runs_that_and_gets_no_unit(
    user: str, container: Container, command: str
) -> None:
    one = candidate(container=container)
    (step,) = steps(machine(user=user, servers=(one.server,)), [one])
    assert step.command == command
    assert f"It runs in a container of {container.runtime}" in " ".join(step.why)
    assert "after a kill" in step.why[-1].lower()
    assert units([one]) == {}


def test_what_a_supervisor_starts_again_is_not_to_be_killed() -> None:
    one = candidate(supervisor="llama-swap (pid 7)")
    (step,) = steps(machine(servers=(one.server,)), [one])
    assert (step.command, units([one])) == ("", {})
    assert (
        step.why[-1]
        == "llama-swap (pid 7) started it and starts it again after a kill: end it there."
    )


def test_a_server_on_a_unix_socket_is_named_with_the_port_that_it_is_to_have() -> None:
    one = candidate(socket="/run/llama.sock", flags=("--host", "/run/llama.sock"), port=8081)
    (step,) = steps(machine(servers=(one.server,)), [one])
    assert step.command == "kill 812"
    assert (
        "It listens on the Unix socket /run/llama.sock; ours listens on port 8081" in step.why[-1]
    )
    assert units([one]) == {}
    kept = candidate(
        socket="/run/llama.sock", flags=("--host", "/run/llama.sock"), port=8081, service=OF_USER
    )
    (change,) = steps(machine(servers=(kept.server,)), [kept])
    assert change.command.startswith("systemctl --user edit --full llama.service")
    assert "Take --host /run/llama.sock out of its ExecStart=" in change.why[1]
    assert change.why[-1] == "Write `--port 8081` there, which is the port in inventory.yaml."


@pytest.mark.parametrize("removed", [True, False])
def test_a_container_that_is_kept_needs_nothing_and_one_that_is_removed_says_why(
    *, removed: bool
) -> None:
    inside = Container(runtime="docker", name="gemma", engine=SOCKET, policy="always")
    one = candidate(container=inside)
    seen = machine(user="root", servers=(one.server,), containers=(container(removed=removed),))
    found = steps(seen, [one])
    if not removed:
        assert found == ()
        return
    assert found[0].command == "docker stop gemma && docker update --restart=no gemma"
    assert "made without `--rm`, it could be kept as it is" in " ".join(found[0].why)
    (weights,) = candidates(seen, {812: adopted(weights="/models/gemma.gguf")})
    assert weights.file.path == "/srv/gemma.gguf"


def test_a_container_that_a_service_runs_says_how_it_could_be_kept() -> None:
    service = Service(name="gem.service", scope="system")
    inside = Container(runtime="docker", name="gemma", engine=SOCKET, service=service)
    one = candidate(container=inside)
    seen = machine(user="root", servers=(one.server,), containers=(container(),))
    (found,) = steps(seen, [one])
    assert found.command == "systemctl disable --now gem.service"
    assert "`reconciler import systemd` keeps both as they are" in " ".join(found.why)


def test_a_container_that_is_kept_says_what_hides_it_and_that_it_wants_a_key() -> None:
    inside = Container(runtime="docker", name="gemma", engine=SOCKET)
    one = candidate(
        container=inside,
        variables=("LLAMA_API_KEY",),
        flags=("--no-slots", "--host", "10.0.0.2"),
    )
    seen = machine(user="root", servers=(one.server,), containers=(container(),))
    key, hidden = steps(seen, [one])
    assert (
        "qwen keeps running as container gemma, and wants an API key (LLAMA_API_KEY)" in key.why[0]
    )
    assert (hidden.command, hidden.why[1].partition(":")[0]) == (
        "",
        "Make it again without --no-slots, --host 10.0.0.2",
    )
    elsewhere = machine(servers=(one.server,), containers=(container(network="own"),))
    assert "--host" not in steps(elsewhere, [one])[1].why[1]


@pytest.mark.parametrize(
    ("user", "why"),
    [
        ("ann", "of which only root is told: as root, `reconciler init` could keep it"),
        ("root", "as a systemd service in there it could be kept as it is"),
    ],
)
def test_why_a_container_of_lxc_is_not_kept_is_said(user: str, why: str) -> None:
    one = candidate(container=Container(runtime="LXC", name="web"))
    (step,) = steps(machine(user=user, servers=(one.server,)), [one])
    assert why in " ".join(step.why)


def test_a_container_of_lxc_that_is_kept_says_what_hides_it() -> None:
    one = candidate(
        container=Container(runtime="LXC", name="web"), flags=("--no-slots", "--host", "10.0.0.2")
    )
    seen = machine(user="root", servers=(one.server,), lxcs=(lxc(),))
    (hidden,) = steps(seen, [one])
    assert "qwen keeps running as container web" in hidden.why[0]
    assert hidden.why[1].startswith("Start it without --no-slots, --host 10.0.0.2:")
