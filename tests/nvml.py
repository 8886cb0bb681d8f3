"""A stand-in for libnvidia-ml.so.1 at the C interface, below the real `pynvml`.

Written from nvml.h and from what pynvml expects, not recorded from a card: `make test-gpu` asks a
real one.
"""

from __future__ import annotations

import ctypes
import sys
from dataclasses import dataclass, field
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from itertools import count
from typing import TYPE_CHECKING, Any

from reconciler.model.gpu import GIB

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import ModuleType

OK, INVALID_ARGUMENT, NOT_SUPPORTED, NO_PERMISSION, NOT_FOUND, INSUFFICIENT_SIZE = 0, 2, 3, 4, 6, 7
DRIVER_NOT_LOADED, LIBRARY_NOT_FOUND, GPU_IS_LOST, VERSION_MISMATCH, UNKNOWN = 9, 12, 15, 18, 999
NOT_AVAILABLE = 2**64 - 1

_NUMBERS = count()


@dataclass
class Card:
    """A card: `holds` maps pids to bytes or None; each code is what its question returns."""

    name: str = "NVIDIA GeForce RTX 3090"
    uuid: str = "GPU-6f3c1d1e-0000-4a5b-9c1d-2b1f0a9e7c55"
    total: int = 24 * GIB
    reserved: int = GIB // 4
    computes: dict[int, int | None] = field(default_factory=dict)
    draws: dict[int, int | None] = field(default_factory=dict)
    handle: int = OK
    memory: int = OK
    processes: int = OK

    @property
    def free(self) -> int:
        held = self.computes | self.draws
        return self.total - self.reserved - sum(size or 0 for size in held.values())


@dataclass
class Library:
    """The library of a machine, its functions by C names, that counts openings and closings."""

    cards: list[Card] = field(default_factory=list)
    programs: dict[int, str] = field(default_factory=dict)
    init: int = OK
    version: str = "v3"
    before: Callable[[str], None] = lambda _: None
    opened: int = 0
    closed: int = 0

    def loaded(self) -> ModuleType:
        """Return a pynvml of its own that has loaded this library."""
        found = find_spec("pynvml")
        assert found is not None
        assert found.origin is not None
        spec = spec_from_file_location(f"pynvml_{next(_NUMBERS)}", found.origin)
        assert spec is not None
        assert spec.loader is not None
        module = module_from_spec(spec)
        sys.modules[spec.name] = module  # it puts its errors into the module of its name
        spec.loader.exec_module(module)
        module.nvmlLib = _Functions(self)  # type: ignore[attr-defined]
        return module

    def functions(self) -> Iterator[tuple[str, Callable[..., int]]]:
        """Yield what it exports."""
        yield "nvmlInitWithFlags", self._open
        yield "nvmlShutdown", self._close
        yield "nvmlDeviceGetCount_v2", self._count
        yield "nvmlDeviceGetHandleByIndex_v2", self._handle
        yield (
            "nvmlDeviceGetName",
            lambda handle, text, _: self._write(text, self._card(handle).name),
        )
        yield (
            "nvmlDeviceGetUUID",
            lambda handle, text, _: self._write(text, self._card(handle).uuid),
        )
        yield "nvmlDeviceGetMemoryInfo", self._memory
        yield "nvmlSystemGetProcessName", self._program
        yield (
            f"nvmlDeviceGetComputeRunningProcesses_{self.version}",
            lambda *words: self._processes("computes", *words),
        )
        yield (
            f"nvmlDeviceGetGraphicsRunningProcesses_{self.version}",
            lambda *words: self._processes("draws", *words),
        )

    def _open(self, _: int) -> int:
        self.opened += self.init == OK
        return self.init

    def _close(self) -> int:
        self.closed += 1
        return OK

    def _count(self, number: Any) -> int:
        number._obj.value = len(self.cards)
        return OK

    def _handle(self, index: Any, handle: Any) -> int:
        if index.value >= len(self.cards):
            return INVALID_ARGUMENT
        device = handle._obj
        device.contents = ctypes.cast(index.value + 1, type(device)).contents
        code: int = self.cards[index.value].handle
        return code

    def _card(self, handle: Any) -> Card:
        return self.cards[ctypes.addressof(handle.contents) - 1]

    def _memory(self, handle: Any, memory: Any) -> int:
        card, seen = self._card(handle), memory._obj
        seen.total, seen.free, seen.used = card.total, card.free, card.total - card.free
        return card.memory

    def _processes(self, which: str, handle: Any, number: Any, rows: Any) -> int:
        card = self._card(handle)
        held: dict[int, int | None] = getattr(card, which)
        room, number._obj.value = number._obj.value, len(held)
        if card.processes != OK or not held:
            return card.processes
        if rows is None or room < len(held):
            return INSUFFICIENT_SIZE
        for row, (pid, size) in zip(rows, held.items(), strict=False):
            row.pid, row.usedGpuMemory = pid, NOT_AVAILABLE if size is None else size
        return OK

    def _program(self, pid: Any, text: Any, _: Any) -> int:
        program = self.programs.get(pid.value)
        return NOT_FOUND if program is None else self._write(text, program)

    @staticmethod
    def _write(text: Any, value: str) -> int:
        text.value = value.encode("latin-1")
        return OK


class _Functions:
    """What ctypes makes of a shared object: its functions are attributes, and no others are."""

    def __init__(self, library: Library) -> None:
        self._library = library

    def __getattr__(self, name: str) -> Callable[..., int]:
        if name not in dict(self._library.functions()):
            raise AttributeError(name)

        def function(*words: Any) -> int:
            self._library.before(name)
            return dict(self._library.functions())[name](*words)

        return function


SERVER, DESKTOP, STRANGER = 4711, 812, 99


def idle() -> Library:
    """Return one card that nobody uses."""
    return Library([Card()])


def busy() -> Library:
    """Return one card with an engine, and a desktop that computes and draws."""
    programs = {SERVER: "/usr/local/bin/llama-server", DESKTOP: "/usr/lib/xorg/Xorg"}
    card = Card(computes={SERVER: 20 * GIB, DESKTOP: GIB // 2}, draws={DESKTOP: GIB // 2})
    return Library([card], programs)


def two() -> Library:
    """Return two cards, of which a stranger uses one."""
    other = Card(
        name="NVIDIA RTX A4000", uuid="GPU-0d7c52aa-1111-4c3e-8f00-5a1be2a0c9d4", total=16 * GIB
    )
    return Library([Card(), Card(**vars(other) | {"computes": {STRANGER: 10 * GIB}})])


def unified() -> Library:
    """Return a card that uses the host's memory, as that of a GB10 does."""
    return Library([Card(name="NVIDIA GB10", memory=NOT_SUPPORTED, computes={SERVER: None})])
