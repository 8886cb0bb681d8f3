"""Machines for tests of what is drafted and found."""

from __future__ import annotations

from typing import Any

from reconciler.model.found_container import ContainerFile
from reconciler.model.found_lxc import FoundLxc
from reconciler.model.machine import (
    FolderState,
    ImportedFlags,
    Logins,
    Machine,
    Server,
    WeightsFile,
)
from reconciler.model.reason import Reason


def machine(**changed: Any) -> Machine:
    fields: dict[str, Any] = {
        "name": "attic", "user": "ann", "memory_bytes": 64 * 1024**3, "cards": (), "nodes": (),
        "programs": (), "servers": (), "weights": (), "cut": "", "folders": (), "free_port": 8080,
        "logins": Logins(kills=False, lingers=True),
    }  # fmt: skip
    return Machine(**fields | changed)


def server(**changed: Any) -> Server:
    fields: dict[str, Any] = {
        "pid": 812, "port": 8080, "user": "ann", "directory": "/home/ann",
        "program": "/opt/llama/llama-server", "flags": ("-m", "models/Qwen3-8B-Q4_K_M.gguf"),
        "mapped": (), "variables": (), "service": None, "model": None,
    }  # fmt: skip
    return Server(**fields | changed)


def lxc(**changed: Any) -> FoundLxc:
    fields: dict[str, Any] = {
        "pid": 812, "kind": "lxc", "name": "web", "service": "", "whole": True, "network": "host",
        "boots": Reason(),
        "files": (ContainerFile(inside="/m/a.gguf", outside="/srv/a.gguf"),),
    }  # fmt: skip
    return FoundLxc(**fields | changed)


def file(path: str, **changed: Any) -> WeightsFile:
    fields: dict[str, Any] = {
        "size": 5 * 1024**3, "problem": "", "architecture": "qwen3", "type": "model",
        "context_length": 40960, "kv_bytes_per_token": 147456,
    }  # fmt: skip
    return WeightsFile(path=path, **fields | changed)


def adopted(**changed: Any) -> ImportedFlags:
    fields: dict[str, Any] = {
        "weights": "", "alias": "", "context": None, "parallel": None, "slots": "", "task": "chat",
        "args": (), "left_out": (),
    }  # fmt: skip
    return ImportedFlags(**fields | changed)


def folder(path: str, **changed: Any) -> FolderState:
    fields: dict[str, Any] = {"nearest": "/var", "writable": True, "free_bytes": 100 * 1024**3}
    return FolderState(path=path, **fields | changed)
