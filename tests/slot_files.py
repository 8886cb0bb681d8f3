"""Slot files as an engine leaves them, and requests to the program on a host about them."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

from reconciler.model.facts import Saved
from reconciler.onhost.serve import answer
from tests.running import ok

if TYPE_CHECKING:
    from pathlib import Path

IDENTITY = {"pid": 7, "start": 8, "inode": 9, "boot_id": "b"}
TOKENS = list(range(100, 140))
MAGIC = 0x67677371


def slot_content(tokens: list[int], state: bytes = b"state" * 100) -> bytes:
    record = struct.pack(f"<{3 + len(tokens)}i", -1, 1, len(tokens), *tokens)
    return struct.pack("<3i", MAGIC, 4, len(record) // 4) + record + state


def sidecar(
    slot: int = 0, saved_at: float = 1.0, fingerprint: str = "v1:sha256:00000000"
) -> dict[str, Any]:
    return {
        "slot": slot, "tokens": len(TOKENS), "fingerprint": fingerprint, "saved_at": saved_at,
        "identity": IDENTITY, "slot_tokens": 4096, "task": None,
    }  # fmt: skip


def ask(directory: Path, kind: str, **fields: Any) -> dict[str, Any]:
    return answer({"do": kind, "directory": "slots", **fields}, str(directory))


def seal(
    directory: Path, file: str, slot: int = 0, saved_at: float = 1.0, content: bytes | None = None
) -> dict[str, Any]:
    content = slot_content(TOKENS) if content is None else content
    (directory / "slots").mkdir(exist_ok=True)
    (directory / "slots" / f"{file}.tmp").write_bytes(content)
    return ask(
        directory, "seal", temporary=f"{file}.tmp", file=file, size=len(content),
        sidecar=sidecar(slot, saved_at)
    )  # fmt: skip


def saved(directory: Path) -> Saved:
    return Saved.model_validate(ok(ask(directory, "saved")))


def names(directory: Path) -> set[str]:
    return {path.name for path in (directory / "slots").iterdir()}
