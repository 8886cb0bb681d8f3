"""The daemon of a rig: its hosts, and the socket where its tests say what happens to them."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.rigs.hostrig.bell import Bell
from tests.rigs.hostrig.host import HOST_KEY, Host, Place
from tests.rigs.hostrig.lan import Lan
from tests.rigs.hostrig.light import SSH_PORT, LightHost, Network
from tests.rigs.hostrig.nspawn import NspawnHost
from tests.rigs.hostrig.programs import RigError, new_key
from tests.rigs.hostrig.setup import Setup

FIRST_NUMBER = 11


class Daemon:
    """All hosts of a rig."""

    def __init__(self, setup: Setup) -> None:
        """Plug every host in."""
        self.setup, self.folder, self.bell = setup, Path(setup.folder), Bell()
        self.over = asyncio.Event()
        self.hosts: dict[str, Host] = {}
        new_key(self.folder / "id")
        self._lan = Lan(setup.token) if setup.mode == "nspawn" else None
        self._network = self._lan or Network()
        for number, name in enumerate(setup.names, FIRST_NUMBER):
            self.hosts[name] = self._host(self._place(name, number))
        if isinstance(self._network, Network):
            self._network.listen(self.hosts.values())

    def _place(self, name: str, number: int) -> Place:
        (self.folder / name).mkdir()

        def note(event: str, **more: object) -> None:
            said = {"at": round(time.time(), 3), "host": name, "event": event, **more}
            with (self.folder / "events.jsonl").open("a") as log:
                log.write(f"{json.dumps(said)}\n")
            self.bell.ring()

        port = 22 if self._lan else SSH_PORT
        return Place(
            name,
            number,
            self.folder / name,
            f"{self._network.prefix}.{number}",
            port,
            self.bell,
            note,
        )

    def _host(self, place: Place) -> Host:
        if self._lan:
            return NspawnHost(place, self._lan, self.setup)
        return LightHost(place)

    async def serve(self) -> None:
        """Do what is asked until the pipe to who started this closes; then leave nothing."""
        server = await asyncio.start_unix_server(self._answer, "control")
        asyncio.get_running_loop().add_reader(sys.stdin, self._end)
        print("ready", flush=True)  # noqa: T201 - whoever started this waits for it
        await self.over.wait()
        server.close()
        for host in self.hosts.values():
            host.unplug()
        await asyncio.gather(*(host.running for host in self.hosts.values() if host.running))
        if self._lan:
            self._lan.close()

    def _end(self) -> None:
        asyncio.get_running_loop().remove_reader(sys.stdin)
        self.over.set()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            verb, *words = json.loads(await reader.readline())
            answer = await self._do(verb, *words)
        except Exception as error:  # noqa: BLE001 - who asked gets to see it
            answer = {"error": f"{type(error).__name__}: {error}"}
        writer.write(json.dumps(answer).encode() + b"\n")
        writer.close()

    async def _do(self, verb: str, name: str = "", *words: Any) -> dict[str, Any]:
        if verb == "status":
            return self._view() if not name else self.hosts[name].view()
        if name not in self.hosts:
            raise RigError(f"no such host: {name}")
        host = self.hosts[name]
        if verb in ("wait", "wait_count"):
            await self._wait(verb, host, *words)
            return host.view()
        acts: dict[str, Callable[..., None]] = {
            "cut": host.cut, "on": lambda: host.power_on("power button"), "button": host.press,
            "link": host.set_link, "fault": host.fault, "rekey": host.rekey,
        }  # fmt: skip
        if verb not in acts:
            raise RigError(f"no such verb: {verb}")
        acts[verb](*words)
        return host.view()

    async def _wait(self, verb: str, host: Host, *words: Any) -> None:
        *what, seconds = words

        def reached() -> bool:
            return bool(host.state == what[0] if verb == "wait" else host.count[what[0]] >= what[1])

        await self.bell.until(lambda: bool(host.broken) or reached(), within=seconds)
        if host.broken or not reached():
            seen = host.broken or (
                host.state if verb == "wait" else f"{host.count[what[0]]} {what[0]}"
            )
            raise RigError(
                f"{host.place.name} is not {' '.join(map(str, what))} within {seconds} s but {seen}"
            )

    def _view(self) -> dict[str, Any]:
        return {
            "mode": self.setup.mode,
            "wol_broadcast": self._network.wol_broadcast,
            "wol_port": self._network.wol_port,
            "hosts": {name: host.view() for name, host in self.hosts.items()},
            "keys": {
                name: (host.root / f"{HOST_KEY}.pub").read_text()
                for name, host in self.hosts.items()
            },
        }


def main(words: list[str]) -> int:
    """Run the rig that one JSON argument describes; as a namespace's first process, be its init."""
    setup = Setup(**json.loads(words[0]))
    os.chdir(setup.folder)
    if os.getpid() == 1 and (child := os.fork()):
        return _reap_until_end_of(child)
    asyncio.run(_serve(setup))
    return 0


async def _serve(setup: Setup) -> None:
    await Daemon(setup).serve()


def _reap_until_end_of(child: int) -> int:
    while True:
        pid, status = os.wait()
        if pid == child:
            return os.waitstatus_to_exitcode(status) & 0xFF
