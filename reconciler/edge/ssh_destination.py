"""SSH destinations: where to connect to, in the words of a command line and of a person."""

from __future__ import annotations

import shlex
from typing import NamedTuple


class Destination(NamedTuple):
    """A place to connect to, in the words of ssh_config; None is as the user's configuration says.

    `jump` is a chain of hosts, as `ProxyJump` has it.
    """

    name: str
    address: str
    user: str | None = None
    port: int | None = None
    config: str | None = None
    jump: str | None = None

    @property
    def words(self) -> tuple[str, ...]:
        """The words of a command line that mean it."""
        return (*self._flags, "--", self._who)

    @property
    def shown(self) -> str:
        """What a person would type after `ssh` to get there."""
        return shlex.join((*self._flags, self._who))

    @property
    def known(self) -> str:
        """Its name in `known_hosts`."""
        return self.address if self.port in {None, 22} else f"'[{self.address}]:{self.port}'"

    @property
    def _flags(self) -> tuple[str, ...]:
        named = (("-F", self.config), ("-J", self.jump), ("-p", self.port))
        given = [(flag, str(value)) for flag, value in named if value is not None]
        return tuple(word for pair in given for word in pair)

    @property
    def _who(self) -> str:
        return f"{self.user}@{self.address}" if self.user else self.address
