"""Requests about the host itself: contact, claim, preparation, cards, and what can serve models."""

from typing import ClassVar, Literal

from reconciler.model.facts import Claim
from reconciler.model.onhost import ASK_SECONDS, READ_SECONDS, Action, Batch, InDoubt, Question
from reconciler.model.preparation import Preparation


class AskContact(Question):
    """Ask for boot id, clocks, python version and the absolute host directory."""

    batch: ClassVar[Batch] = "kernel"
    do: Literal["contact"] = "contact"


class AskClaim(Question):
    """Ask who acts on this host."""

    batch: ClassVar[Batch] = "kernel"
    do: Literal["claim"] = "claim"


class WriteClaim(Action):
    """Claim the host.

    Refused when another one stands than this and what it `replaces`, unless `take_over`.
    """

    in_doubt: ClassVar[InDoubt] = "repeatable"
    do: Literal["write-claim"] = "write-claim"
    claim: Claim
    replaces: Claim | None = None
    take_over: bool = False


class AskPrepared(Question):
    """Ask with which preparation the host was made ready since it came up."""

    batch: ClassVar[Batch] = "kernel"
    do: Literal["prepared"] = "prepared"


class PrepareHost(Action):
    """Run a preparation: its programs, its check, and remedies until that passes.

    Remember the digest until the host sleeps.
    """

    in_doubt: ClassVar[InDoubt] = "repeatable"
    refusal_is_final: ClassVar[bool] = True
    do: Literal["prepare"] = "prepare"
    preparation: Preparation
    digest: str

    @property
    def patience(self) -> float:
        """Its own time limit, and some."""
        return self.preparation.seconds + ASK_SECONDS


class AskGpus(Question):
    """Ask which accelerator device nodes the host has, and how much memory of its own."""

    batch: ClassVar[Batch] = "kernel"
    do: Literal["gpus"] = "gpus"


class AskNvidia(Question):
    """Ask nvidia-smi for every NVIDIA card.

    Where the host is its own machine, `drivers/gpus/nvidia` reads the same itself.
    """

    do: Literal["nvidia"] = "nvidia"

    @property
    def patience(self) -> float:
        """As long as a driver that wakes its cards first may take."""
        return READ_SECONDS


class AskMachine(Question):
    """Ask what there is for serving models, as `model.machine.Machine` holds it.

    `search` says whether to look for GGUF files, which may take some seconds: those that servers
    and containers name, and those in `places`; None: where models usually are. `folders` names
    folders to judge, `sockets` where container engines listen beside the usual places.
    """

    do: Literal["machine"] = "machine"
    search: bool = True
    places: tuple[str, ...] | None = None
    folders: tuple[str, ...] = ()
    sockets: tuple[str, ...] = ()
