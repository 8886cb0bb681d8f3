"""What a launcher holds, or may hold for all that it could see."""

from typing import TypeAlias

from reconciler.model.facts import Unit
from reconciler.model.names import Value
from reconciler.model.spec import Kind


class UnseenUnit(Value):
    """The unit of a model of which it could not be seen whether it runs, and why not."""

    model: str
    launcher: Kind
    reason: str


HeldUnit: TypeAlias = Unit | UnseenUnit
