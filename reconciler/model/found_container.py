"""Found container: one that a host has, as its engine tells of it."""

from typing import Literal, TypeAlias

from reconciler.model.names import Value

Network: TypeAlias = Literal["host", "published", "own"]
"""Whose ports lead to a container: the host has its network, or publishes its port, or neither."""


class ContainerFile(Value):
    """A file by its path in a container and on the host, empty where it is on no mount."""

    inside: str
    outside: str


class ContainerEngine(Value):
    """An engine by its socket, and the group that may use that, empty where it has no name.

    `usual`: it is the one that is meant where none is named. `usable`: this account may use it, and
    then `answers` says whether it does.
    """

    socket: str
    usual: bool
    usable: bool
    group: str
    answers: bool = True

    def letting_in(self, user: str) -> str:
        """How an account comes to use it: a phrase, with the exact command."""
        group = self.group or "of the socket"
        return (
            f"`sudo usermod -aG {group} {user}` and a new login; its members may do what root may"
        )


class KnownContainer(Value):
    """What is known of every container whose files and network are known.

    `files` are what flags name or is in memory.
    """

    name: str
    network: Network
    files: tuple[ContainerFile, ...]

    def outside(self, path: str) -> str:
        """Find a file of it on the host, empty where that has none."""
        return next((one.outside for one in self.files if one.inside == path), "")


class FoundContainer(KnownContainer):
    """A container of an engine, with what could be a model in it.

    `serves`: its program is llama-server, with these `flags`; `variables` are the names of those
    that are further flags. `port` is the host's where it is published, and the container's own
    otherwise. `removed`: it is, once it ends. `model` is the one that it was made for by us, and
    `project` and `service` are those of a compose file, and `project_file` is that, empty where
    there are several or it is not there.
    """

    socket: str
    runtime: str
    image: str
    running: bool
    serves: bool
    flags: tuple[str, ...]
    variables: tuple[str, ...]
    port: int
    policy: str
    removed: bool
    model: str | None = None
    project: str = ""
    service: str = ""
    project_file: str = ""

    @property
    def letting_be(self) -> str:
        """What keeps its engine from starting it by itself, as a phrase."""
        if self.runtime == "docker":
            return f"`docker update --restart=no {self.name}`"
        # podman 4 cannot change it.
        return "make it again with `--restart=no`"
