"""Every error that may reach a person, drawn once.

ReconcilerError                    exit
  Misused                            64   the command line is wrong
  ConfigError                         1   the files are wrong: every problem with its place
  Unreachable                         1   a program, host or file that is needed cannot be reached
  Unexpected                          1   unforeseen; 5 where something may have been begun
  Refused                             4   nothing was changed, with every reason
    LockHeld                          4   another process acts on this data directory
    PlanStale                         4   the world moved since the plan was saved
    NotApproved                       4   the plan was not approved
  DriverError                         3   a port tried something and it did not work
    Declined                          3   a host answered that it will not: nothing happened
      Barred                          3   what powers it refuses us, and may lock the account
    NotOffered                        3   an engine answers that it was started for another task
    HungUp                            3   a host ended the connection before it answered
  DurabilityError                     5   what happened cannot be recorded: stop acting at once
    JournalDamaged                    5   the journal is not what was written
    WriteFailed                       5   the disk refused a write
    NetworkFileSystem                 5   the journal would not lie on a local disk
"""

from __future__ import annotations

from typing import ClassVar


class ReconcilerError(Exception):
    """An error with one sentence for a person, a CamelCase reason and an exit code."""

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message

    @property
    def reason(self) -> str:
        """The stable CamelCase name that docs/errors.md explains."""
        return type(self).__name__


class Misused(ReconcilerError):
    """A command line that cannot be understood."""

    exit_code: ClassVar[int] = 64


class ConfigError(ReconcilerError):
    """All problems of desired state and inventory at once."""


class Unreachable(ReconcilerError):
    """Something that is needed to answer at all, and cannot be reached."""


class Unexpected(ReconcilerError):
    """What was not foreseen: it is reported at the top of the program, and never raised."""


class Refused(ReconcilerError):
    """Every reason why nothing was changed."""

    exit_code: ClassVar[int] = 4


class LockHeld(Refused):
    """Which process acts on this data directory now, and whether it does what others ask for."""

    def __init__(self, message: str, *, obeys: bool = False) -> None:
        """Keep the sentence for people, and what others may expect."""
        super().__init__(message)
        self.obeys = obeys


class PlanStale(Refused):
    """How the saved plan differs from what would be done now."""


class NotApproved(Refused):
    """A plan that was not approved."""


class DriverError(ReconcilerError):
    """What a driver tried on the outside world and what came of it."""

    exit_code: ClassVar[int] = 3


class Declined(DriverError):
    """Why a host will not do what it was asked: nothing happened, and waiting changes nothing."""


class Barred(Declined):
    """Which credentials were refused, and where they are: repeating them may lock the account."""


class NotOffered(DriverError):
    """The answer of a server that was started for another task: it lives."""


class HungUp(DriverError):
    """A connection that the host itself ended: what was asked of it may have happened."""


class DurabilityError(ReconcilerError):
    """What keeps us from recording: what was `found`, and the `fix` where it is known."""

    # Acting stops at once: what is not recorded, no later run would know.

    exit_code: ClassVar[int] = 5

    def __init__(self, message: str, *, found: str = "", fix: str = "") -> None:
        """Keep the sentence, and its two parts."""
        super().__init__(message)
        self.found, self.fix = found or message, fix


class JournalDamaged(DurabilityError):
    """Where the journal is not what was written, and the way out."""


class WriteFailed(DurabilityError):
    """Which durable write failed."""


class NetworkFileSystem(DurabilityError):
    """Which mount keeps the journal on another machine, and where else it may lie."""
