"""Preparation: what a boot forgets, and a check of accelerators that a resume may have broken."""

from typing import Annotated, Self, TypeAlias

from pydantic import AfterValidator, Field, model_validator

from reconciler.model.names import Value
from reconciler.model.quantity import Seconds, Word


def _runnable(words: tuple[str, ...]) -> tuple[str, ...]:
    """Refuse a program whose path depends on the directory from which it is started."""
    program = words[0]
    if not program or ("/" in program and not program.startswith("/")):
        raise ValueError(
            f'found the program "{program}", expected a name on the PATH or a path that begins'
            " with /"
        )
    return words


Words: TypeAlias = Annotated[tuple[Word, ...], Field(min_length=1), AfterValidator(_runnable)]
"""A program and its words: an argument list, never a shell."""


class Preparation(Value):
    """The programs that are run on a host each time it came up, before anything starts there."""

    run: tuple[Words, ...] = Field(
        default=(),
        description=(
            "Programs that set what a boot forgets, such as [nvidia-smi, -pl, '250']; each ends"
            " with 0."
        ),
    )
    check: Words | None = Field(
        default=None,
        description=(
            "One that ends with 0 if the accelerators work; it is not run beside an engine or a"
            " job."
        ),
    )
    remedies: tuple[Words, ...] = Field(
        default=(),
        description=(
            "What may help where the check fails, tried in order; the check is run again after"
            " each."
        ),
    )
    timeout: Seconds = Field(
        default=60.0, gt=0, le=600, description='How long each program may take, such as "60s".'
    )

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not self.run and self.check is None:
            raise ValueError("give `run`, `check` or both")
        if self.remedies and self.check is None:
            raise ValueError("`remedies` are for what `check` finds: give it too")
        return self

    @property
    def unchecked(self) -> "Preparation":
        """The part of it that may be run beside a job."""
        return self.model_copy(update={"check": None, "remedies": ()})

    @property
    def programs(self) -> tuple[str, ...]:
        """The programs that it runs, each once."""
        check = () if self.check is None else (self.check,)
        every = (*self.run, *check, *self.remedies)
        return tuple(dict.fromkeys(program for program, *_ in every))

    @property
    def seconds(self) -> float:
        """How long all of it takes at most."""
        # The check is run once, and again after each of its remedies.
        checks = 0 if self.check is None else 1 + 2 * len(self.remedies)
        return self.timeout * (len(self.run) + checks)


class Prepared(Value):
    """The preparation that a host was made ready with since it came up, empty where with none."""

    digest: str = ""
