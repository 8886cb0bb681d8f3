"""Reach the host that the controller runs on.

Its program is called in a worker thread, or through an exchange.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread
from pydantic import BaseModel, ConfigDict

from reconciler.drivers.access.shared.driver import ExchangeDriver
from reconciler.errors import DriverError
from reconciler.model.spec import Capabilities
from reconciler.onhost import process, serve
from reconciler.ports.host import LOOPBACK

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from reconciler.drivers.access.shared.driver import Exchange, Json
    from reconciler.drivers.access.shared.place import HostPlace
    from reconciler.model.facts import UnitIdentity

CAPABILITIES = Capabilities()


class Options(BaseModel):
    """Take no options."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Driver(ExchangeDriver):
    """The access to this machine, through `exchange` or a worker thread of this process."""

    def __init__(
        self, options: Options, place: HostPlace, exchange: Exchange | None = None
    ) -> None:
        """Use the place's directory, where everything that belongs to the host lives."""
        super().__init__(exchange or self._in_thread)
        self.options = options
        self._directory = str(Path(place.directory).absolute())

    @property
    def here(self) -> bool:
        """That it is."""
        return True

    async def where(self) -> str:
        """Return the address of this machine for itself."""
        return "127.0.0.1"

    async def changes(self, identity: UnitIdentity) -> AsyncIterator[None]:
        """Yield when the unit's process exits, and end.

        Source: its pidfd, readable when it is gone (pidfd_open(2)).
        """
        with process.holding(identity.model_dump()) as descriptor:
            if descriptor is None:
                return
            await anyio.wait_readable(descriptor)
        yield

    @asynccontextmanager
    async def dial(self, port: int, address: str = LOOPBACK) -> AsyncIterator[str]:
        """Give the URL of a port of this host, or of a container on it."""
        yield f"http://{address}:{port}"

    async def _in_thread(self, request: Json, seconds: float) -> Json:
        """Answer in a worker thread.

        Raise DriverError at the deadline, after which the thread's answer is dropped.
        """
        try:
            with anyio.fail_after(seconds):
                return await anyio.to_thread.run_sync(
                    partial(serve.answer, request, self._directory), abandon_on_cancel=True
                )
        except TimeoutError as error:
            raise DriverError(
                f"this host did not finish {request.get('do')} within {seconds:g} s"
            ) from error
