"""What a container of ours is asked to be made with, on hosts with other devices than this one."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from reconciler.onhost import contact, docker_settings, podman_settings

if TYPE_CHECKING:
    from pathlib import Path

WANTED: dict[str, Any] = {
    "image": "llama",
    "argv": ["llama-server", "--port", "1"],
    "directory": "models/m",
    "folders": ["slots", "/kv/m"],
    "devices": "auto",
    "user": None,
    "volumes": [],
    "ipc": None,
    "shm": None,
}
EVERY = {"Driver": "nvidia", "Count": -1, "Capabilities": [["gpu"]]}


def made(**changed: Any) -> dict[str, Any]:
    return docker_settings.body({**WANTED, **changed}, "/host", "0:0", ["/app/llama-server"])


def devices(monkeypatch: pytest.MonkeyPatch, nodes: list[str], wanted: Any) -> dict[str, Any]:
    monkeypatch.setattr(contact, "gpus", lambda: {"nodes": nodes})
    return docker_settings._devices(wanted)


def test_a_container_has_the_devices_that_its_host_has(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    nothing: dict[str, Any] = {"DeviceRequests": [], "Devices": [], "GroupAdd": []}
    assert devices(monkeypatch, [], "auto") == nothing
    assert devices(monkeypatch, ["/dev/nvidia0"], "none") == {}
    for nodes, wanted in ((["/dev/nvidia0"], "auto"), ([], "all")):
        assert devices(monkeypatch, nodes, wanted) == {**nothing, "DeviceRequests": [EVERY]}
    node = tmp_path / "renderD128"
    node.write_text("")
    monkeypatch.setattr(docker_settings, "_DIRECT", (str(tmp_path),))
    found = devices(monkeypatch, [str(node)], "auto")
    assert [one["PathInContainer"] for one in found["Devices"]] == [str(node)]
    assert found["GroupAdd"] == [str(node.stat().st_gid)]
    named = devices(monkeypatch, [], ["nvidia.com/gpu=0", "GPU-1"])["DeviceRequests"]
    assert [(one["Driver"], one["DeviceIDs"]) for one in named] == [
        ("cdi", ["nvidia.com/gpu=0"]),
        ("nvidia", ["GPU-1"]),
    ]


def test_an_image_that_says_what_it_runs_is_given_the_flags_alone() -> None:
    assert "Entrypoint" not in made()
    assert made(argv=["/opt/llama-server", "-v"])["Entrypoint"] == ["/opt/llama-server"]
    bare = docker_settings.body(WANTED, "/host", "0:0", None)
    assert (bare["Entrypoint"], bare["Cmd"]) == (["llama-server"], ["--port", "1"])
    assert made(ipc="host", shm=None)["HostConfig"]["IpcMode"] == "host"
    assert made(shm=64)["HostConfig"]["ShmSize"] == 64


def test_what_is_left_out_is_named() -> None:
    body = made(devices=["GPU-1"])
    body["HostConfig"]["Devices"] = [{"PathInContainer": "/dev/kfd"}]
    seen: dict[str, Any] = {
        "HostConfig": {
            "NetworkMode": "host",
            "DeviceRequests": [{}],
            "Devices": [{"PathInContainer": "/dev/kfd"}],
        },
        "Mounts": [
            {"Destination": one["Target"], "RW": not one["ReadOnly"]}
            for one in body["HostConfig"]["Mounts"]
        ],
        "Config": {"User": "0:0"},
    }
    assert docker_settings.dropped(body, seen) == ""
    told: dict[str, dict[str, Any]] = {
        "the request for a GPU": {"HostConfig": {**seen["HostConfig"], "DeviceRequests": None}},
        "the device /dev/kfd": {"HostConfig": {**seen["HostConfig"], "Devices": None}},
        "the mount of /host/models/m": {"Mounts": []},
        "the host's network": {"HostConfig": {**seen["HostConfig"], "NetworkMode": "bridge"}},
        "the user 0:0": {"Config": {"User": ""}},
    }
    for words, changed in told.items():
        assert docker_settings.dropped(body, {**seen, **changed}) == words


def test_in_a_rootless_engine_this_account_is_root(tmp_path: Path) -> None:
    socket = tmp_path / "docker.sock"
    socket.write_text("")
    if os.geteuid() == 0:
        assert docker_settings.own_user(str(socket)) == f"0:{os.getegid()}"
        os.chown(socket, 1000, 1000)
    assert docker_settings.own_user(str(socket)) == "0:0"


def test_podman_is_asked_in_its_own_words() -> None:
    volumes = ["/data:/data:ro", "cache:/cache:rw,z", "/plain:/plain"]
    asked = made(devices=["nvidia.com/gpu=0", "GPU-1"], volumes=volumes, ipc="host")
    asked = {**asked, "Env": ["A=b=c"], "Labels": {"x": "y"}}
    body = podman_settings.body("reconciler-m", asked)
    assert [one["path"] for one in body["devices"]] == ["nvidia.com/gpu=0", "nvidia.com/gpu=GPU-1"]
    assert {one["Destination"]: one["Options"] for one in body["mounts"]} == {
        "/host/models/m": ["rbind"],
        "/host/models/m/slots": ["rbind"],
        "/kv/m": ["rbind"],
        "/data": ["rbind", "ro"],
        "/plain": ["rbind"],
    }
    assert body["volumes"] == [{"Name": "cache", "Dest": "/cache", "Options": ["rw", "z"]}]
    assert (body["env"], body["ipcns"]) == ({"A": "b=c"}, {"nsmode": "host"})
    assert not {"entrypoint", "shm_size"} & body.keys()
    asked["HostConfig"].update(DeviceRequests=[EVERY], Devices=[{"PathOnHost": "/dev/kfd"}])
    body = podman_settings.body("reconciler-m", asked)
    assert [one["path"] for one in body["devices"]] == ["/dev/kfd", "nvidia.com/gpu=all"]
