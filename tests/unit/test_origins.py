"""What restarts a process is told by control groups and parents, with advice that works."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

import pytest

from reconciler.model.origin import Container, Service
from reconciler.model.port import PortOwner
from reconciler.onhost import containers, services
from reconciler.onhost.origins import origin
from tests.fakeproc import Proc

if TYPE_CHECKING:
    from pathlib import Path

ID = "0123456789abcdef" * 4
SHORT = ID[:12]
APP = "/user.slice/user-0.slice/user@0.service/app.slice"
LLAMA = {"name": "llama.service", "scope": "system"}
NOBODY = "/user.slice/user-4294967.slice/user@4294967.service"


@pytest.fixture
def proc(tmp_path: Path) -> Proc:
    return Proc(tmp_path / "proc")


@pytest.mark.parametrize(
    ("path", "runtime", "name"),
    [
        (f"/system.slice/docker-{ID}.scope", "docker", SHORT),
        (f"/docker/{ID}", "docker", SHORT),
        (f"/docker/{ID}/system.slice/llama.service", "docker", SHORT),
        (f"{APP}/docker-a.scope", "docker", "a"),
        (f"/machine.slice/libpod-{ID}.scope/container", "podman", SHORT),
        (f"/libpod_parent/libpod-{ID}", "podman", SHORT),
        (f"/system.slice/crio-{ID}.scope", "cri-o", SHORT),
        (f"/system.slice/nerdctl-{ID}.scope", "containerd", SHORT),
        (
            "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod1.slice"
            f"/cri-containerd-{ID}.scope",
            "Kubernetes",
            "",
        ),
        (f"/kubelet.slice/kubelet-kubepods.slice/crio-{ID}.scope", "Kubernetes", ""),
        (f"/kubepods/besteffort/pod7/{ID}", "Kubernetes", ""),
        ("/lxc.payload.web/system.slice/llama.service", "LXC", "web"),
        ("/lxc/101/ns/init.scope", "LXC", "101"),
        (
            "/machine.slice/systemd-nspawn@attic.service/payload/system.slice/llama.service",
            "systemd-nspawn",
            "attic",
        ),
        ("/machine.slice/machine-my\\x2dbox.scope/payload/init.scope", "systemd-nspawn", "my-box"),
    ],
)
def test_a_container_is_told_by_the_control_group(
    proc: Proc, path: str, runtime: str, name: str
) -> None:
    proc.process(9, "llama-server", cgroup=f"0::{path}\n")
    found = containers.container(9, str(proc.folder))
    assert found is not None
    assert (found["runtime"], found["name"]) == (runtime, name)
    assert origin(9, str(proc.folder))["service"] is None


@pytest.mark.parametrize(
    "path",
    [
        "/system.slice/docker-registry.service",
        f"/machine.slice/libpod-conmon-{ID}.scope",
        "/system.slice/lxcfs.service",
        "/machine.slice/machine-qemu\\x2d1\\x2dvm.scope",
        "/system.slice/kubepodsish.service",
        "/",
        "",
    ],
)
def test_what_only_looks_like_a_container_is_none(proc: Proc, path: str) -> None:
    proc.process(9, "llama-server", cgroup=f"0::{path}\n")
    assert containers.container(9, str(proc.folder)) is None


def test_the_container_that_this_runs_in_is_not_another(proc: Proc) -> None:
    (proc.folder / "self").mkdir()
    (proc.folder / "self" / "cgroup").write_text(f"0::/docker/{ID}\n")
    proc.process(9, "llama-server", cgroup=f"0::/docker/{ID}/system.slice/llama.service\n")
    proc.process(10, "llama-server", cgroup=f"0::/docker/{'f' * 64}\n")
    assert origin(9, str(proc.folder)) == {"container": None, "service": LLAMA, "supervisor": ""}
    assert containers.container(10, str(proc.folder)) is not None


@pytest.mark.parametrize(
    ("path", "user", "service"),
    [
        (
            f"/system.slice/gemma.service/libpod-payload-{ID}",
            "root",
            {"name": "gemma.service", "scope": "system"},
        ),
        (
            f"{APP}/gemma.service/libpod-payload-{ID}",
            "root",
            {"name": "gemma.service", "scope": "user"},
        ),
        (f"{NOBODY}/user.slice/libpod-{ID}.scope/container", "4294967", None),
        (f"/system.slice/docker.service/docker/{ID}", "root", None),
    ],
)
def test_whose_a_container_is_and_which_service_runs_it_stands_before_it(
    proc: Proc, path: str, user: str, service: dict[str, str] | None
) -> None:
    proc.process(9, "llama-server", cgroup=f"0::{path}\n")
    found = containers.container(9, str(proc.folder))
    assert found is not None
    assert (found["user"], found["service"]) == (user, service)


@pytest.mark.parametrize("client", [("/usr/bin/docker",), ("/bin/bash", "/opt/bin/podman")])
@pytest.mark.parametrize(
    "server", [("/app/llama-server",), ("/usr/bin/python3", "/app/llama-server")]
)
def test_who_waits_for_a_container_is_known_by_the_words_that_it_passed_on(
    proc: Proc, client: tuple[str, ...], server: tuple[str, ...]
) -> None:
    words = ("-m", "/models/a.gguf", "--port", "8080")
    proc.process(
        7,
        *client,
        "run",
        "--rm",
        "--name=gemma",
        "image",
        *words,
        cgroup=f"0::{APP}/llama.service\n",
    )
    proc.process(
        8,
        *client,
        "run",
        "--name",
        "other",
        "image",
        "-m",
        "/models/b.gguf",
        cgroup="0::/system.slice/b.service\n",
    )
    proc.process(9, *server, *words, cgroup=f"0::/system.slice/docker-{ID}.scope\n")
    found = containers.container(9, str(proc.folder))
    assert found is not None
    assert (found["name"], found["service"]) == (
        "gemma",
        {"name": "llama.service", "scope": "user"},
    )


def test_a_program_that_listens_for_a_container_is_not_the_service_of_its_runtime(
    proc: Proc,
) -> None:
    own = proc.process(
        9, "docker-proxy", "-host-port", "8080", cgroup="0::/system.slice/docker.service\n"
    )
    (own / "comm").write_text("docker-proxy\n")
    found = origin(9, str(proc.folder))
    assert (found["container"]["runtime"], found["container"]["name"], found["service"]) == (
        "docker",
        "",
        None,
    )


@pytest.mark.parametrize(
    "name",
    ["llama@a.service", "llama@my\\x2dmodel.service", "sshfs.service", "dockerized-llm.service"],
)
def test_an_instance_of_a_template_is_a_service_by_its_whole_name(proc: Proc, name: str) -> None:
    proc.process(9, "llama-server", cgroup=f"0::/system.slice/system-llama.slice/{name}\n")
    found = origin(9, str(proc.folder))["service"]
    assert found == {"name": name, "scope": "system"}
    assert shlex.split(Service.model_validate(found).ending)[-1] == name


@pytest.mark.parametrize(
    "name",
    ["ssh", "sshd", "sshd@7-10.0.0.1", "cron", "crond", "atd", "getty@tty1", "user@1000", "docker"],
)
def test_what_a_login_or_cron_started_is_not_their_service(proc: Proc, name: str) -> None:
    proc.process(9, "llama-server", cgroup=f"0::/system.slice/{name}.service\n")
    assert services.service(9, str(proc.folder)) is None


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (("/usr/bin/python3", "/usr/bin/supervisord", "-n"), "supervisord (pid 7)"),
        (("runsv", "llama"), "runsv (pid 7)"),
        (("PM2 v5.3.0: God Daemon (/home/ann/.pm2)",), "PM2 (pid 7)"),
        (("/opt/llama-swap", "--config", "c.yaml"), "llama-swap (pid 7)"),
        (("vim", "supervisord"), ""),
        (("nohup",), ""),
    ],
)
def test_a_supervisor_is_known_by_its_name_also_behind_a_shell(
    proc: Proc, argv: tuple[str, ...], said: str
) -> None:
    group = "0::/system.slice/llama.service\n"
    proc.process(7, *argv, cgroup=group)
    proc.process(8, "/bin/sh", "-c", "llama-server; true", parent=7, cgroup=group)
    proc.process(9, "llama-server", parent=8, cgroup=group)
    found = origin(9, str(proc.folder))
    assert (found["supervisor"], found["service"]) == (said, None if said else LLAMA)


def test_nothing_is_a_supervisor_where_parents_end(proc: Proc) -> None:
    proc.process(9, "sh", parent=9)
    proc.process(10, "llama-server", parent=11)
    assert [services.supervisor(pid, str(proc.folder)) for pid in (9, 10, 12)] == ["", "", ""]


OF_SYSTEM = Service(name="llama.service", scope="system")
OF_USER = Service(name="llama.service", scope="user")


@pytest.mark.parametrize(
    ("changed", "remedy"),
    [
        ({}, "`kill 9` ends it"),
        ({"pid": None}, "end that"),
        ({"user": "bob"}, "`kill 9` (as bob) ends it"),
        (
            {"service": OF_USER, "user": "bob"},
            "`systemctl --user disable --now llama.service` (as bob) ends it for good",
        ),
        (
            {"service": OF_SYSTEM, "user": "bob"},
            "`systemctl disable --now llama.service` (as root) ends it for good",
        ),
        (
            {"service": OF_SYSTEM},
            "`systemctl disable --now llama.service` (as root) ends it for good",
        ),
        ({"service": OF_USER}, "`systemctl --user disable --now llama.service` ends it for good"),
        (
            {"container": Container(runtime="docker", name="a")},
            "it is in a container of docker (a), and `docker stop a` (as root) ends it",
        ),
        (
            {"container": Container(runtime="docker", name="a", policy="always")},
            (
                "it is in a container of docker (a), and `docker stop a && docker update"
                " --restart=no a` (as root) ends it"
            ),
        ),
        (
            {"container": Container(runtime="podman", name="a", user="ann")},
            "it is in a container of podman (a), and `podman stop a` (as ann) ends it",
        ),
        (
            {"container": Container(runtime="docker", name="a", service=OF_USER)},
            (
                "it is in a container of docker (a), and `systemctl --user disable --now"
                " llama.service` ends it for good"
            ),
        ),
        (
            {"container": Container(runtime="docker")},
            (
                "it listens for a container of docker: `docker ps` (as root) shows which, `docker"
                " stop` ends that"
            ),
        ),
        (
            {"container": Container(runtime="Kubernetes")},
            (
                "it is in a container of Kubernetes, which starts it again after a kill, so end it"
                " there"
            ),
        ),
        (
            {"supervisor": "runsv (pid 7)"},
            "runsv (pid 7) starts it again after a kill, so end it there",
        ),
        (
            {"pid": 1, "name": "systemd"},
            (
                "`systemctl list-sockets` shows which socket unit holds it, and `systemctl disable"
                " --now` of that frees it"
            ),
        ),
    ],
)
def test_who_holds_a_port_is_named_with_what_ends_it_and_a_kill_only_where_it_lasts(
    changed: dict[str, Any], remedy: str
) -> None:
    assert PortOwner(**{"pid": 9, "name": "llama-server", **changed}).remedy == remedy


def test_what_a_client_waits_for_is_what_its_words_ran(proc: Proc) -> None:
    words = ("-m", "/models/a.gguf")
    proc.process(6, "docker", "run", "image", *words, cgroup="0::/system.slice/gemma.service\n")
    proc.process(7, "llama-server", *words, cgroup="0::/system.slice/by-hand.service\n")
    proc.process(8, "llama-server", "-m", "/b", cgroup=f"0::/system.slice/docker-{ID}.scope\n")
    proc.process(9, "llama-server", *words, cgroup=f"0::/system.slice/docker-{ID}.scope\n")
    assert containers.run_by(6, str(proc.folder)) == [9]
    assert containers.run_by(7, str(proc.folder)) == []
