"""The controller as hosts know it."""

from reconciler.model.facts import Claim
from reconciler.model.names import Value
from reconciler.model.records import Instant


class Controller(Value):
    """A data directory that is acted on, and where.

    `id` is made once and kept in the directory. `former` is what versions up to 0.1 called it: a
    digest of the machine id and the path, which two containers share that have no machine id.
    """

    id: str
    name: str
    directory: str
    former: str = ""

    def claim(self, now: Instant) -> Claim:
        """What this controller writes on a host that it acts on in this boot."""
        return Claim(
            controller=self.id,
            name=self.name,
            directory=self.directory,
            boot=now.boot_id,
            at=now.at,
        )
