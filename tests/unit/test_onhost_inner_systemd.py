"""What the systemd of a container says, as its host has it."""

from __future__ import annotations

import pytest

from reconciler.onhost import commands, groups, inner_systemd, lxc, procfs, systemctl
from reconciler.onhost.problem import HostProblem

STATE = {
    "ControlGroup": "/system.slice/llm.service",
    "MainPID": "24",
    "FragmentPath": "/etc/systemd/system/llm.service",
    "DropInPaths": "/etc/a.conf /run/systemd/generator/b.conf",
    "EnvironmentFiles": "/etc/llm.env (ignore_errors=no)\n/srv/llm.env (ignore_errors=yes)",
}
STATUS = {52: "Name: x\nNSpid:\t52\t1\n", 83: "NSpid:\t83\t24\n", 84: "NSpid:\t84\t25\t24\n"}

ROOT = "/proc/52/root"
"""How the host reaches the files of that container."""


@pytest.fixture(autouse=True)
def told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a container whose init is 52, and a service in it of two processes."""
    paths = {f"/proc/{pid}/status": text for pid, text in STATUS.items()}
    paths["/proc/52/cgroup"] = "0::/lxc.payload.llm/init.scope\n"
    below = {"/lxc.payload.llm/system.slice/llm.service": {84, 83}}
    monkeypatch.setattr(procfs, "text", lambda path, *_: paths[path])
    monkeypatch.setattr(groups, "below", lambda path: below.get(path, set()))
    monkeypatch.setattr(lxc, "init_pid", {"llm": 52, "gone": 0}.__getitem__)


def test_processes_and_files_of_a_container_are_those_of_its_host() -> None:
    """What a generator writes anew says nothing; a process that counts deeper is another one."""
    seen = inner_systemd.as_seen_outside(STATE, inner_systemd.scope("llm"))
    assert seen == {
        "ControlGroup": "/lxc.payload.llm/system.slice/llm.service",
        "MainPID": "83",
        "FragmentPath": f"{ROOT}/etc/systemd/system/llm.service",
        "DropInPaths": f"{ROOT}/etc/a.conf /run/systemd/generator/b.conf",
        "EnvironmentFiles": f"{ROOT}/etc/llm.env (ignore_errors=no)\n"
        f"{ROOT}/srv/llm.env (ignore_errors=yes)",
    }


def test_a_service_that_does_not_run_has_no_process_outside() -> None:
    state = {"ControlGroup": "", "MainPID": "0"}
    assert inner_systemd.as_seen_outside(state, "lxc:llm") == state


def test_what_is_the_hosts_own_stays_as_it_is() -> None:
    assert inner_systemd.as_seen_outside(STATE, "system") is STATE
    assert inner_systemd.entering("user") == []


def test_the_pids_of_a_container_that_has_just_stopped_are_not_taken_for_the_hosts() -> None:
    with pytest.raises(HostProblem, match="container gone stopped while it was asked"):
        inner_systemd.as_seen_outside(STATE, "lxc:gone")


def test_a_systemd_that_hangs_is_named_with_its_container(monkeypatch: pytest.MonkeyPatch) -> None:
    def hang(*_: object) -> commands.Ended:
        raise commands.Late

    monkeypatch.setattr(commands, "run", hang)
    with pytest.raises(HostProblem, match="`lxc-attach -n llm -- systemctl --system` did not ans"):
        systemctl.shown("llm.service", inner_systemd.scope("llm"))
