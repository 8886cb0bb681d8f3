"""A /proc of processes that are not there, and weights to be found."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from reconciler.embedded.weights import write_weights
from reconciler.onhost import servers

STAT = (
    "{pid} (llama-server) S {parent} {pid} {pid} {terminal} -1 4194304 0 0 0 0 0 0 0 0 20 0 1 0"
    " {start} 0 0\n"
)
HEADING = (
    "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout"
    " inode\n"
)


class Proc:
    """A /proc of processes that are not there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "net").mkdir(parents=True)
        (folder / "net" / "tcp").write_text(HEADING)

    def listen(self, port: int, inode: int) -> None:
        row = (
            f"   0: 0100007F:{port:04X} 00000000:0000 0A 00000000:00000000 00:00000000 00000000"
            f" {os.getuid():5} 0 {inode} 1 0\n"
        )
        with (self.folder / "net" / "tcp").open("a") as table:
            table.write(row)

    def process(self, pid: int, *argv: str, inode: int | None = None, **changed: Any) -> Path:
        """Add a process; without an `inode` its sockets cannot be seen."""
        own = self.folder / str(pid)
        own.mkdir()
        words = {"parent": 1, "terminal": 0, "start": 5, **changed}
        (own / "stat").write_text(STAT.format(pid=pid, **words))
        (own / "cmdline").write_bytes("".join(f"{word}\0" for word in argv).encode())
        (own / "cgroup").write_text(
            changed.get("cgroup", "0::/user.slice/user-1000.slice/session-3.scope\n")
        )
        (own / "maps").write_text(changed.get("maps", ""))
        (own / "environ").write_text(changed.get("environ", ""))
        (own / "cwd").symlink_to(changed.get("directory", "/home/ann"))
        (own / "exe").symlink_to(changed.get("program", "/usr/bin/llama-server"))
        if inode is None:
            (own / "fd").write_text("closed")
        else:
            (own / "fd").mkdir()
            (own / "fd" / "3").symlink_to(f"socket:[{inode}]")
        return own

    def servers(self) -> list[dict[str, Any]]:
        return servers.servers(str(self.folder))


def gguf(path: Path, seed: int = 1) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_weights(path, seed=seed)
    return path
