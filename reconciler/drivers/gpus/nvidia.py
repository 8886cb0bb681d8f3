"""NVIDIA cards: read through NVML, their driver's library, here, and by nvidia-smi elsewhere.

What is not known of a card makes all of them unknown.
"""

from __future__ import annotations

from contextlib import contextmanager, suppress
from importlib import import_module
from posixpath import basename
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from reconciler.edge.abandoned_thread import AbandonedThread
from reconciler.model.facts import Known, Unknown
from reconciler.model.gpu import Card, Gpu, Holder
from reconciler.model.onhost.host import AskGpus, AskNvidia
from reconciler.model.spec import Capabilities

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pydantic import JsonValue

    from reconciler.model.facts import Fact
    from reconciler.ports import AccessReader

CAPABILITIES = Capabilities()

READ_SECONDS = 20.0
"""A driver that was not kept loaded takes up to 3 s to begin, for each card."""

LAST_RESORT = "`gpu: none` starts models without checking memory"
ADVICE = {
    "LIBRARY_NOT_FOUND": (
        "libnvidia-ml.so.1 is not here; install the NVIDIA driver, in a container its `utility`"
        " part"
    ),
    "DRIVER_NOT_LOADED": "run `modprobe nvidia` or reboot; if that fails, `dmesg` says why",
    "LIB_RM_VERSION_MISMATCH": (
        "the driver was updated under the running one; reboot, or reload its module"
    ),
    "GPU_IS_LOST": (
        "the card does not answer its bus any more; `dmesg` says why, a reboot brings it back"
    ),
    "RESET_REQUIRED": "run `nvidia-smi --gpu-reset`, or reboot",
    "NO_PERMISSION": "let this user open /dev/nvidia*",
}


class Options(BaseModel):
    """Which memory the accelerator has."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    memory: Literal["card", "unified"] = Field(
        default="card",
        description=(
            "card: its own, or the host's where its driver says that it has none; unified: the"
            " host's (MemAvailable)."
        ),
    )


class Driver:
    """The memory of every NVIDIA card, and the processes that hold it."""

    def __init__(
        self, options: Options, access: AccessReader, nvml: Callable[[], Any] | None = None
    ) -> None:
        """Use a host; `nvml` loads the library, which costs time and is done at the first look."""
        self.options = options
        self._access = access
        self._nvml = nvml or _load_nvml
        self._cards = AbandonedThread(self._look)

    async def gpu(self) -> Fact[Gpu]:
        """Read every card, by NVML or nvidia-smi.

        /proc/meminfo stands in for a card without its own memory.
        """
        fact = await (self._asked_here() if self._access.here else self._asked_there())
        if isinstance(fact, Unknown) or not any(card.unified for card in fact.value.cards):
            return fact
        return await with_host_memory(fact.value, self._access)

    async def _asked_here(self) -> Fact[Gpu]:
        try:
            return await self._cards.answer(READ_SECONDS)
        except TimeoutError:
            return Unknown(
                "the NVIDIA driver does not answer; if `nvidia-smi` hangs too, `dmesg` says why,"
                " and a reboot ends it"
            )

    async def _asked_there(self) -> Fact[Gpu]:
        (fact,) = await self._access.ask([AskNvidia()])
        if isinstance(fact, Unknown):
            return Unknown(f"{fact.reason}; {LAST_RESORT}")
        found = fact.value["cards"]
        if not isinstance(found, list) or not found:
            return Unknown(f"nvidia-smi finds no card there; `dmesg` says more; {LAST_RESORT}")
        try:
            return Known(Gpu(cards=tuple(self._card_there(one) for one in found)))
        except ValidationError as error:
            wrong = f"{error.error_count()} of its fields are wrong"
            return Unknown(f"the host's list of cards cannot be understood: {wrong}")

    def _card_there(self, found: JsonValue) -> Card:
        told = found if isinstance(found, dict) else {}
        unified = self.options.memory == "unified" or told.get("total") is None
        # The host's memory comes in its place later, from another question.
        own = {"total": 0, "free": 0} if unified else {}
        return Card.model_validate({**told, **own, "unified": unified})

    def _look(self) -> Fact[Gpu]:
        try:
            nvml = self._nvml()
        except ImportError:
            return Unknown(
                f"the Python package nvidia-ml-py is not installed beside reconciler; {LAST_RESORT}"
            )
        asked = "NVIDIA's driver"
        cards: list[Card] = []
        try:
            with _begun(nvml):
                for index in range(nvml.nvmlDeviceGetCount()):
                    asked = f"NVIDIA's driver, asked for card {index},"
                    cards.append(_card(nvml, index, unified=self.options.memory == "unified"))
        except nvml.NVMLError as error:
            return Unknown(f"{asked} says {error}: {_advice(nvml, error)}; {LAST_RESORT}")
        if not cards:
            return Unknown(
                f"NVIDIA's driver finds no card; `nvidia-smi` and `dmesg` say more; {LAST_RESORT}"
            )
        return Known(Gpu(cards=tuple(cards)))


async def with_host_memory(gpu: Gpu, access: AccessReader) -> Fact[Gpu]:
    """Put the host's memory in place of that of the cards which use it."""
    (fact,) = await access.ask([AskGpus()])
    if isinstance(fact, Unknown):
        return fact
    memory = {"total": fact.value["memory_total"], "free": fact.value["memory_available"]}

    def with_memory(card: Card) -> Card:
        return card.model_copy(update=memory) if card.unified else card

    return Known(Gpu(cards=tuple(map(with_memory, gpu.cards))))


def _load_nvml() -> Any:  # noqa: ANN401 - the library comes without types
    return import_module("pynvml")


@contextmanager
def _begun(nvml: Any) -> Iterator[None]:  # noqa: ANN401 - the library comes without types
    nvml.nvmlInit()
    try:
        yield
    finally:
        nvml.nvmlShutdown()


# As above.
def _card(nvml: Any, index: int, *, unified: bool) -> Card:  # noqa: ANN401
    handle = nvml.nvmlDeviceGetHandleByIndex(index)
    total = free = 0
    if not unified:
        try:
            memory = nvml.nvmlDeviceGetMemoryInfo(handle)
            total, free = memory.total, memory.free
        except nvml.NVMLError_NotSupported:
            # So a driver says that the card has none.
            unified = True
    return Card(
        index=index,
        name=nvml.nvmlDeviceGetName(handle),
        uuid=nvml.nvmlDeviceGetUUID(handle),
        total=total,
        free=free,
        unified=unified,
        holders=_holders(nvml, handle),
    )


def _holders(nvml: Any, handle: Any) -> tuple[Holder, ...]:  # noqa: ANN401 - as above
    """Find the processes that compute or draw, each once; none where the driver does not say."""
    computing = _held(_processes(nvml, "Compute", handle))
    drawing = _held(_processes(nvml, "Graphics", handle))
    held = {pid: max(computing.get(pid, 0), drawing.get(pid, 0)) for pid in computing | drawing}
    return tuple(
        Holder(pid=pid, name=_name(nvml, pid), bytes=size or None, draws=pid not in computing)
        for pid, size in sorted(held.items())
    )


def _held(processes: list[Any]) -> dict[int, int]:
    held: dict[int, int] = {}
    for process in processes:
        held[process.pid] = max(held.get(process.pid, 0), process.usedGpuMemory or 0)
    return held


def _processes(nvml: Any, what: str, handle: Any) -> list[Any]:  # noqa: ANN401 - as above
    unanswered = (
        nvml.NVMLError_FunctionNotFound,
        nvml.NVMLError_NotSupported,
        nvml.NVMLError_NoPermission,
    )
    # Drivers before 510 know only the second version of the question.
    for version in ("v3", "v2"):
        ask = getattr(nvml, f"nvmlDeviceGet{what}RunningProcesses_{version}")
        with suppress(*unanswered):
            found: list[Any] = ask(handle)
            return found
    return []


def _name(nvml: Any, pid: int) -> str:  # noqa: ANN401 - as above
    # The process may be gone by now, or another user's.
    with suppress(nvml.NVMLError, UnicodeDecodeError):
        return basename(str(nvml.nvmlSystemGetProcessName(pid)))
    return ""


def _advice(nvml: Any, error: Any) -> str:  # noqa: ANN401 - as above
    said = (
        advice
        for name, advice in ADVICE.items()
        if getattr(nvml, f"NVML_ERROR_{name}") == error.value
    )
    return next(said, "`nvidia-smi` and `dmesg` say more")
