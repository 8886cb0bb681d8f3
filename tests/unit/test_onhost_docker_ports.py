"""Ports of a host that lead to a container."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.onhost import docker_ports, procfs

PROXY = [
    "/usr/sbin/docker-proxy",
    "-proto",
    "tcp",
    "-host-ip",
    "127.0.0.1",
    "-host-port",
    "8080",
    "-container-ip",
    "172.17.0.2",
    "-container-port",
    "9000",
]


def seen(**bound: list[dict[str, str]]) -> dict[str, Any]:
    ports = {name.replace("_", "/"): places for name, places in bound.items()}
    return {
        "HostConfig": {"NetworkMode": "bridge", "PortBindings": ports},
        "NetworkSettings": {"Networks": {"bridge": {"IPAddress": "172.17.0.2"}}},
    }


@pytest.mark.parametrize(
    ("bound", "ports"),
    [
        ({}, []),
        ({"9000_tcp": [{"HostIp": "127.0.0.1", "HostPort": "8080"}]}, [8080]),
        ({"9000_tcp": [{"HostPort": "8081"}, {"HostPort": "8080"}]}, [8080, 8081]),
        ({"9000_tcp": [{"HostIp": "192.0.2.1", "HostPort": "8080"}, {"HostPort": ""}]}, []),
        ({"9000_udp": [{"HostPort": "8080"}]}, []),
    ],
)
def test_only_tcp_ports_of_the_loopback_lead_to_it(bound: Any, ports: list[int]) -> None:
    assert docker_ports.led_from(seen(**bound)) == ports


def test_on_the_network_of_the_host_every_port_does() -> None:
    assert docker_ports.led_from({"HostConfig": {"NetworkMode": "host"}}) is None


def test_what_listens_for_a_container_is_told_by_its_words(monkeypatch: pytest.MonkeyPatch) -> None:
    running = {7: PROXY, 8: [*PROXY[:-3], "172.17.0.3"], 9: ["nginx", *PROXY[1:]]}
    monkeypatch.setattr(procfs, "pids", lambda: [*running])
    monkeypatch.setattr(procfs, "argv", running.__getitem__)
    monkeypatch.setattr(procfs, "comm", lambda pid: running[pid][0].rpartition("/")[2])
    published = seen(**{"9000_tcp": [{"HostPort": "8080"}]})
    assert [*docker_ports.listeners(published)] == [7]
    assert [*docker_ports.listeners(seen())] == []
    published["NetworkSettings"]["Networks"]["bridge"]["IPAddress"] = ""
    assert [*docker_ports.listeners(published)] == []
    assert docker_ports.told(8080, [9, 8]) == 8
    assert docker_ports.told(9000, running) is None
