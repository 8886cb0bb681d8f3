"""Networks of containers, as /proc shows them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from reconciler.onhost import doors, lxc, origins, ports, procfs, sockets
from reconciler.onhost.serve import answer

if TYPE_CHECKING:
    from collections.abc import Callable

INSIDE = {"kind": "lxc", "name": "glm", "socket": "", "network": "own"}
ROW = b"   0: %s:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 7 1"
ANYWHERE, LOOPBACK = ROW % b"00000000", ROW % b"0100007F"


class Container:
    """A container that runs, with what listens in its network."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.running: dict[str, int] | None = {"pid": 7}
        self.rows = [ANYWHERE]
        self.addresses = ["fe80::1", "10.1.2.3"]
        self.holder: int | None = None
        self.spaces = {"/proc/7/ns/net": "net:[2]", "/proc/self/ns/net": "net:[1]"}
        changed: dict[Any, dict[str, Callable[..., Any]]] = {
            lxc: {"init_of": lambda _: self.running, "addresses": lambda _: self.addresses},
            sockets: {"rows": lambda path: self.rows if path == "/proc/7/net/tcp" else []},
            procfs: {
                "link": lambda path: self.spaces.get(path, ""),
                "comm": lambda _: "llama-server",
            },
            ports: {"holder": lambda _: self.holder},
            origins: {"origin": lambda _: {"container": None}},
        }
        for module, functions in changed.items():
            for name, function in functions.items():
                monkeypatch.setattr(module, name, function)


@pytest.fixture
def container(monkeypatch: pytest.MonkeyPatch) -> Container:
    return Container(monkeypatch)


def asked() -> dict[str, Any]:
    return answer({"do": "door", "inside": INSIDE, "port": 8080}, "/")


def owner() -> Any:
    found = answer({"do": "port", "port": 8080, "door": INSIDE}, "/")
    return found["ok"]["owner"] if "ok" in found else found["error"]


def test_what_listens_in_a_network_of_its_own_is_the_containers(container: Container) -> None:
    assert asked() == {"ok": {"address": "10.1.2.3"}}
    assert (owner()["pid"], owner()["name"]) == (7, "llama-server")
    container.holder = 9
    assert owner()["pid"] == 9, "a service in it, for example"
    container.rows = []
    assert owner() is None
    container.running = None
    assert owner() is None
    assert asked() == {"error": "container glm does not run"}


def test_why_nothing_leads_there_is_told(container: Container) -> None:
    container.rows = [LOOPBACK]
    assert "listens on the loopback of its own network; give it" in asked()["error"]
    container.rows, container.addresses = [ANYWHERE], []
    assert "container glm has no address that leads to its port 8080" in asked()["error"]


def test_a_container_on_the_network_of_the_host_has_none_of_its_own(container: Container) -> None:
    container.spaces["/proc/7/ns/net"] = "net:[1]"
    said = "container glm is on the host's network; leave `network: own` out"
    assert (asked(), owner()) == ({"error": said}, said)
    container.spaces.clear()
    assert doors.address(INSIDE, 8080) == "10.1.2.3", "where that is hidden"
