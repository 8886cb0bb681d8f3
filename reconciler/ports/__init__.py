"""Every question and effect the core needs of the outside world, readers apart from actors.

A reader returns facts and never changes anything. An actor returns evidence, raises DriverError
when it knows that it failed, and is never believed: what counts is the fact observed afterwards.
`steps` says which effects are repeatable, once or irreversible.

Called by loop, effects and verbs; kept by drivers, store and config, and by fakes in tests.
"""

from __future__ import annotations

from reconciler.ports.controller import (
    Clock,
    EditableSource,
    Edits,
    Journal,
    JournalReader,
    Keep,
    Lock,
    PlanFiles,
    Proposal,
    Random,
    Source,
    StateFolder,
    Supervisor,
)
from reconciler.ports.evidence import Evidence, Json
from reconciler.ports.gate import Doors, EngineWay, Front, Gate, GateReader, Lobby
from reconciler.ports.host import (
    Access,
    AccessReader,
    Catalog,
    Engine,
    EngineReader,
    GpuReader,
    HostPorts,
    HostReaders,
    Launcher,
    LauncherReader,
    ModelFiles,
    ModelPorts,
    ModelReaders,
    OptionsCatalog,
    PowerControl,
    PowerReader,
)

__all__ = [
    "Access",
    "AccessReader",
    "Catalog",
    "Clock",
    "Doors",
    "EditableSource",
    "Edits",
    "Engine",
    "EngineReader",
    "EngineWay",
    "Evidence",
    "Front",
    "Gate",
    "GateReader",
    "GpuReader",
    "HostPorts",
    "HostReaders",
    "Journal",
    "JournalReader",
    "Json",
    "Keep",
    "Launcher",
    "LauncherReader",
    "Lobby",
    "Lock",
    "ModelFiles",
    "ModelPorts",
    "ModelReaders",
    "OptionsCatalog",
    "PlanFiles",
    "PowerControl",
    "PowerReader",
    "Proposal",
    "Random",
    "Source",
    "StateFolder",
    "Supervisor",
]
