"""Whoever serves already is ended by one exact command, and can be kept under systemd instead."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.core.drafting import Candidate
from reconciler.core.takeover import steps, units
from reconciler.model.facts import PortOwner, Service
from tests.machines import adopted, file, machine, server

OF_SYSTEM = Service(name="llama.service", scope="system")
OF_USER = Service(name="llama.service", scope="user")
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
def test_a_stranger_is_ended_by_one_command(user: str, changed: dict[str, Any], command: str) -> None:
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
    [("ann", OF_USER, "systemctl --user"), ("ann", OF_SYSTEM, "sudo systemctl"), ("root", OF_SYSTEM, "systemctl")],
)
def test_a_service_that_nobody_can_look_at_is_changed_and_not_ended(user: str, service: Service, systemctl: str) -> None:
    one = candidate(service=service, flags=("--host=10.0.0.7", "--api-key", "(hidden)", "--api-key=(hidden)", "--no-slots"))
    (step,) = steps(machine(user=user, servers=(one.server,)), [one])
    assert step.command == f"{systemctl} edit --full llama.service && {systemctl} restart llama.service"
    assert "Take --api-key, --no-slots, --host 10.0.0.7 out of its ExecStart=" in step.why[1]


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
    assert any("Clients on other machines reach it on 10.0.0.7" in sentence for sentence in step.why) is told


def test_a_unit_of_ours_and_a_model_that_nobody_serves_need_nothing() -> None:
    found = [candidate(model="qwen"), Candidate("a", file("/m/a.gguf"))]
    assert (steps(machine(), found), units(found)) == ((), {})


def test_only_what_was_started_by_hand_gets_a_unit() -> None:
    assert units([candidate(service=OF_USER), candidate(program="")]) == {}
    assert list(units([candidate()])) == ["qwen.service"]


def test_a_unit_runs_exactly_what_ran_and_holds_no_secret() -> None:
    flags = ("-m", "my models/100%.gguf", "--api-key", "(hidden)", "--api-key=(hidden)", "-p", 'say "$HOME" \\ now', "-x", "")
    text = units([candidate(flags=flags)])["qwen.service"]
    assert "WorkingDirectory=/home/ann\n" in text
    assert 'ExecStart=/opt/llama/llama-server -m "my models/100%%.gguf" -p "say \\"$$HOME\\" \\\\ now" -x ""\n' in text
    assert "hidden" not in text
    assert text.count("# --api-key is a secret") == 2


@pytest.mark.parametrize(
    ("owner", "remedy"),
    [
        (PortOwner(pid=9, name="nginx"), "`kill 9` ends it"),
        (PortOwner(pid=None, name="somebody"), "end that"),
        (PortOwner(pid=9, name="x", service=OF_SYSTEM), "`systemctl disable --now llama.service` (as root) ends it for good"),
        (PortOwner(pid=9, name="x", service=OF_USER), "`systemctl --user disable --now llama.service` ends it for good"),
    ],
)
def test_who_holds_a_port_is_named_with_the_command_that_ends_it(owner: PortOwner, remedy: str) -> None:
    assert owner.remedy == remedy
