"""Found service: a systemd service that runs an engine, or what starts one."""

from typing import Literal, TypeAlias

from reconciler.model.found_container import ContainerFile
from reconciler.model.names import Value
from reconciler.model.origin import Service

Runs: TypeAlias = Literal["llama-server", "llama-swap", "vllm", "a container"]


class FoundService(Value):
    """A service, whether it is `running` or not, by what its ExecStart= `runs`.

    `flags` are those that it has or would have, with the variables that stand for flags in
    `variables`; `problem` is why they are not known. `expands`: some come from variables. `file` is
    its unit file, and `log` where it writes, empty for the journal. Of a container that it makes,
    `files` are what its flags name, and `apart` says that its network is its own.
    """

    service: Service
    runs: Runs
    running: bool = False
    flags: tuple[str, ...] = ()
    variables: dict[str, str] = {}
    problem: str = ""
    expands: bool = False
    file: str = ""
    log: str = ""
    files: tuple[ContainerFile, ...] = ()
    apart: bool = False

    @property
    def is_generated(self) -> bool:
        """Whether its file is written by a program, and an edit of it would be lost."""
        return self.file.startswith(("/run/", "/nix/store/"))


class FoundServices(Value):
    """The services of a host that were found, and the templates of some that have no instance.

    `unseen` is why those of the system are not known, empty where they are.
    """

    services: tuple[FoundService, ...]
    templates: tuple[str, ...] = ()
    unseen: str = ""
