"""What a host says of a port and of the server there, checked before it is believed."""

from __future__ import annotations

from reconciler.edge.http_reply import NoAnswer, Reply, unanswered
from reconciler.model.names import Value
from reconciler.model.port import PortState


class Page(Value):
    """What a server answered."""

    status: int
    reason: str
    body: str

    def reply(self, asked: str) -> Reply:
        """Return the answer to what was `asked`."""
        return Reply(asked, self.status, self.body.encode(), self.reason)


class NoPage(Value):
    """Why a server did not answer, in more `words` than `fault` is."""

    fault: NoAnswer
    words: str

    def reply(self, asked: str) -> Reply:
        """Raise HttpFault."""
        raise unanswered(self.fault, asked, self.words)


class Visit(PortState):
    """Who listens on a port, and what came of asking it for a page: None of a stranger, whom nobody asks."""

    page: Page | NoPage | None
