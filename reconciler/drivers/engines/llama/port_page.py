"""The page of a port, as a host tells of it, checked before it is believed."""

from __future__ import annotations

from reconciler.edge.http_reply import NoAnswer, Reply, unanswered
from reconciler.model.names import Value
from reconciler.model.port import PortState


class Page(Value):
    """An answer of a server."""

    status: int
    reason: str
    body: str

    def reply(self, asked: str) -> Reply:
        """Make it the answer to what was `asked`."""
        return Reply(asked, self.status, self.body.encode(), self.reason)


class NoPage(Value):
    """The reason why a server did not answer: `words` tell more than `fault` does."""

    fault: NoAnswer
    words: str

    def reply(self, asked: str) -> Reply:
        """Raise HttpFault."""
        raise unanswered(self.fault, asked, self.words)


class Visit(PortState):
    """A look at who listens on a port and what is said there; a stranger is not asked."""

    page: Page | NoPage | None
