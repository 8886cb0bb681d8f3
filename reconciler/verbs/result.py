"""What every verb gives back: a document, and the exit code of the whole."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeAlias, TypeVar

if TYPE_CHECKING:
    from reconciler.model.names import Value
    from reconciler.model.verdict import HostVerdict

Document_co = TypeVar("Document_co", bound="Value", covariant=True)

Show: TypeAlias = "Callable[[Value], bool]"
"""Shows one document of several; False once there is no reader."""

OK = 0
LEFT_AT_ONCE = (
    "quit at once; what was begun is in the journal, and the next command looks at what is there"
)
ERROR = 1
PENDING = 2
REFUSED = 4
UNKNOWN = 5
INTERRUPTED = 130
WORST_FIRST = (UNKNOWN, INTERRUPTED, 3, 1)


class Outcome(NamedTuple, Generic[Document_co]):
    """A document for stdout, and an exit code."""

    document: Document_co
    exit_code: int = OK


def worst(verdicts: Iterable[HostVerdict]) -> int:
    """Choose the exit code of several hosts: the worst."""
    found = list(verdicts)
    codes = {verdict.exit_code for verdict in found}
    bad = next((code for code in WORST_FIRST if code in codes), OK)
    if bad or REFUSED not in codes:
        return bad
    # 4 promises that nothing was changed, on any host.
    return ERROR if any(verdict.outcome == "applied" for verdict in found) else REFUSED
