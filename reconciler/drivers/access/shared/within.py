"""The access of an engine in a container, whose command line has that container's paths."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from reconciler.model.onhost import OfPlace

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractAsyncContextManager

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

    def dial(self, port: int) -> AbstractAsyncContextManager[str]:
        """Open a way to a port, as an `http://address:port` on this machine."""
        return self._access.dial(port)

    def _meant(self, request: RequestT) -> RequestT:
        if not isinstance(request, OfPlace):
            return request
        return request.model_copy(update={"inside": self._inside})
