"""A server in a container of LXC is known by what starts it: the container, or a service in it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from reconciler.core.onboarding.kept import of_lxc
from reconciler.model.found_lxc import FoundLxc
from reconciler.model.machine import Machine
from reconciler.onhost import containers, found_lxcs, lxc, lxc_words, machine
from reconciler.onhost.problem import HostProblem
from tests.fakeproc import HEADING, Proc, gguf
from tests.machines import lxc as unit
from tests.machines import machine as seen
from tests.machines import server

if TYPE_CHECKING:
    from pathlib import Path

INIT = 5
CT = "0::/lxc/101/ns"
SERVER = ("llama-server", "-m", "/m/a.gguf", "--port", "8000")


class Host:
    """A host with one container of LXC, a CT where `ct` says so, and its init."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.proc = Proc(folder / "proc")
        self.init: dict[str, Any] | None = {"pid": INIT}
        self.lxc, self.pve = folder / "lxc", folder / "pve"
        self.tank = folder / "tank"
        monkeypatch.setattr(lxc_words, "_folder", lambda: str(self.lxc))
        monkeypatch.setattr(lxc_words, "_OF_PROXMOX", str(self.pve))
        monkeypatch.setattr(containers, "_OF_PROXMOX", str(self.pve))
        monkeypatch.setattr(lxc, "init_of", lambda _: self.init)
        monkeypatch.setattr(os, "geteuid", lambda: 0)

    def make(self, *lines: str) -> None:
        (self.lxc / "web").mkdir(parents=True)
        (self.lxc / "web" / "config").write_text("\n".join(("lxc.net.0.type = none", *lines)))

    def make_ct(self, *lines: str) -> None:
        self.pve.mkdir()
        made = ("rootfs: local:vm-101-disk-0", f"mp0: {self.tank},mp=/m", *lines)
        (self.pve / "101.conf").write_text("\n".join(made))

    def run(self, pid: int, *argv: str, comm: str = "", **changed: Any) -> Path:
        """Add a process of the container."""
        own = self.proc.process(pid, *argv, **{"cgroup": "0::/lxc.payload.web\n", **changed})
        (own / "comm").write_text(comm or argv[0])
        return own

    def found(self) -> list[FoundLxc]:
        serving = self.proc.servers()
        return [
            FoundLxc.model_validate(one) for one in found_lxcs.found(serving, str(self.proc.folder))
        ]


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    return Host(tmp_path, monkeypatch)


def test_a_container_whose_init_serves_is_started_and_stopped_as_a_whole(host: Host) -> None:
    host.make("lxc.start.auto = 1", f"lxc.mount.entry = {host.tank} m none bind 0 0")
    host.run(INIT, *SERVER)
    (one,) = host.found()
    assert (one.kind, one.name, one.service, one.network) == ("lxc", "web", "", "host")
    assert one.outside("/m/a.gguf") == f"{host.tank}/a.gguf"
    kept = of_lxc(one)
    assert kept.launcher == {"kind": "lxc", "name": "web"}
    (remark,) = kept.remarks
    assert f"`lxc.start.auto = 0` in {host.lxc}/web/config" in remark


def test_a_service_of_a_container_s_systemd_is_the_model(host: Host) -> None:
    host.make_ct("net0: name=eth0,bridge=vmbr0", "onboot: 1")
    host.run(INIT, "/sbin/init", comm="systemd", cgroup=f"{CT}/init.scope\n")
    host.run(9, *SERVER, parent=INIT, cgroup=f"{CT}/system.slice/llama.service\n")
    (one,) = host.found()
    kept = of_lxc(one)
    assert kept.shown == "llama.service in CT 101"
    assert kept.launcher == {
        "kind": "pct", "ct": 101, "service": "llama.service", "network": "own",
    }  # fmt: skip
    (remark,) = kept.remarks
    assert "`lxc-attach -n 101 -- systemctl disable llama.service`" in remark


def test_what_another_init_or_a_script_started_comes_with_its_container(host: Host) -> None:
    host.make_ct("onboot: 1")
    host.run(INIT, "/sbin/init", cgroup=f"{CT}\n")
    host.run(9, *SERVER, parent=INIT, cgroup=f"{CT}\n")
    (one,) = host.found()
    whole, boots = of_lxc(one).remarks
    assert whole == "CT 101 is started and stopped as a whole: the server has to come with it."
    assert "`pct set 101 --onboot 0`" in boots


@pytest.mark.parametrize(
    "group", ["user.slice/user-0.slice/session-c1.scope", "user@0.service/llama.service"]
)
def test_what_nothing_in_a_container_starts_again_is_no_model(host: Host, group: str) -> None:
    host.make()
    host.run(INIT, "/sbin/init", comm="systemd")
    host.run(9, *SERVER, parent=INIT, cgroup=f"0::/lxc.payload.web/user.slice/{group}\n")
    assert host.found() == []


def test_what_entered_a_container_from_outside_is_no_model(host: Host) -> None:
    host.make()
    host.run(INIT, "/run.sh")
    host.run(9, *SERVER)
    assert host.found() == []


@pytest.mark.parametrize("line", ["lxc.ephemeral = 1", ""])
def test_a_container_that_ends_with_its_stop_or_is_over_is_no_model(host: Host, line: str) -> None:
    host.make(line)
    host.run(INIT, *SERVER)
    if not line:
        host.init = None
    assert host.found() == []


def test_what_a_service_of_the_host_runs_or_only_root_is_told_of_is_no_model(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    host.make()
    host.run(INIT, *SERVER, cgroup="0::/system.slice/web.service/lxc.payload.web\n")
    assert host.found() == []
    (host.proc.folder / str(INIT) / "cgroup").write_text("0::/lxc.payload.web\n")
    assert len(host.found()) == 1
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(HostProblem):
        lxc.file_of(lxc_words.keeper({"name": "web", "keeper": "lxc"}))
    assert host.found() == []


def test_a_server_in_a_network_of_its_own_is_told_with_its_port_and_folder_there(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    host.make_ct("net0: name=eth0,bridge=vmbr0")
    weights = gguf(host.tank / "a.gguf")
    maps = "7f0 r--s 0 fd:01 12 /m/a.gguf\n"
    own = host.run(INIT, *SERVER, cgroup=f"{CT}\n", inode=4711, maps=maps, directory="/m")
    (own / "net").mkdir()
    row = f"0: 00000000:{8123:04X} 0:0 0A 0:0 0:0 0 0 0 4711 1 0\n"
    (own / "net" / "tcp").write_text(HEADING + row)
    told = Machine.model_validate(machine.machine({}, str(tmp_path), str(tmp_path)))
    (one,) = told.servers
    assert (one.port, one.mapped, one.directory) == (8123, ("/m/a.gguf",), "/m")
    assert [one.path for one in told.weights] == [str(weights)]
    assert told.lxc_of(one) is not None
    (own / "fd" / "3").unlink()
    (own / "fd").rmdir()
    told = Machine.model_validate(machine.machine({}, str(tmp_path), str(tmp_path)))
    assert told.servers[0].port == told.free_port


def test_of_two_servers_of_one_container_neither_is_a_model() -> None:
    both = (unit(), unit(pid=813))
    assert seen(lxcs=both).lxc_of(server()) is None
    apart = (unit(service="a.service"), unit(pid=813, service="b.service"))
    assert seen(lxcs=apart).lxc_of(server()) == apart[0]
