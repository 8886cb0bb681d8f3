"""The access of an engine in a container, whose command line has that container's paths."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, TypeVar

from reconciler.errors import DriverError
from reconciler.model.facts import Unknown
from reconciler.model.onhost import OfDoor, OfPlace
from reconciler.model.onhost.ports import AskDoor
from reconciler.ports.host import LOOPBACK

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from reconciler.model.facts import Fact
    from reconciler.model.onhost import Action, Question
    from reconciler.model.place import Inside
    from reconciler.ports import Access, Evidence, Json

RequestT = TypeVar("RequestT", "Question", "Action")


class Within:
    """The part of an access that an engine uses; the host finds the paths by what is mounted."""

    def __init__(self, access: Access, inside: Inside) -> None:
        """Mean the paths of the container `inside`."""
        self._access, self._inside = access, inside

    async def ask(self, questions: Sequence[Question]) -> tuple[Fact[Json], ...]:
        """Answer all questions in one round trip, one fact each, in order."""
        return await self._access.ask([self._meant(one) for one in questions])

    async def act(self, action: Action) -> Evidence:
        """Perform one action; raise DriverError."""
        return await self._access.act(self._meant(action))

    @asynccontextmanager
    async def dial(self, port: int) -> AsyncIterator[str]:
        """Open a way to a port of the container, as an `http://address:port` on this machine."""
        async with self._access.dial(port, await self._address(port)) as url:
            yield url

    async def _address(self, port: int) -> str:
        if self._inside.network == "host":
            return LOOPBACK
        (answer,) = await self._access.ask([AskDoor(inside=self._inside, port=port)])
        if isinstance(answer, Unknown):
            raise DriverError(answer.reason)
        return str(answer.value["address"])

    def _meant(self, request: RequestT) -> RequestT:
        if isinstance(request, OfPlace):
            return request.model_copy(update={"inside": self._inside})
        if isinstance(request, OfDoor) and self._inside.network == "own":
            return request.model_copy(update={"door": self._inside})
        return request
