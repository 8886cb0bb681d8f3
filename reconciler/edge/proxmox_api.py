"""Ask the HTTP API of Proxmox VE as the holder of a token, and follow the tasks that it answers with.

What goes wrong is in the status line. Up to 501 it is said by the API itself, before anything was
done; 595 and above come from the node that passes requests on to another. Source: pve-http-server's
AnyEvent.pm and pve-manager's Tasks.pm, 8 and 9.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple, TypeAlias, TypeVar
from urllib.parse import quote

import anyio
from pydantic import BaseModel, TypeAdapter, ValidationError

from reconciler.edge.http import HttpClient
from reconciler.edge.http_reply import HttpFault
from reconciler.edge.secret import read
from reconciler.errors import Barred, Declined, DriverError
from reconciler.model.reason import Reason
from reconciler.model.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from reconciler.edge.http_reply import Reply

Shape = TypeVar("Shape")
Refused: TypeAlias = "Callable[[str], Barred]"
"""Makes the error of a secret that was refused out of a sentence, and may remember that."""


POLL_SECONDS = 0.3
OK, BAD_REQUEST, UNAUTHORIZED, FORBIDDEN, NOT_IMPLEMENTED = 200, 400, 401, 403, 501


class ProxmoxLogin(NamedTuple):
    """Where the API is, who asks, and which certificate it shows."""

    address: str
    token: str
    secret: Secret
    certificate: str | None


class Patience(NamedTuple):
    """How many seconds an answer may take, a task, and the beginning of a task that may go on for minutes."""

    answer: float = 10.0
    task: float = 20.0
    beginning: float = 3.0


PATIENCE = Patience()


class _Task(BaseModel):
    status: str
    exitstatus: str = ""


PERMISSIONS = TypeAdapter(dict[str, dict[str, object]])
NAME = TypeAdapter(str | None)
TASK = TypeAdapter(_Task)


class ProxmoxApi:
    """Ask as the holder of one token.

    Made for one occasion, because the secret is read when it is made.
    """

    def __init__(
        self, login: ProxmoxLogin, showing: Callable[[str], Refused], patience: Patience = PATIENCE
    ) -> None:
        """Read the secret, which `showing` lets be shown.

        Raise Declined, or Barred where it was refused a moment ago.
        """
        secret = read(login.secret)
        # What is no word would break the request, and the sentence about that would show it.
        if not secret.isascii() or not secret.isprintable() or " " in secret:
            raise Declined(
                f"what is found as the secret of {login.token} is no secret of a token, which is"
                " one word"
            )
        self.address, self.token, self.patience = login.address, login.token, patience
        self._refused = showing(secret)
        self._root = f"https://{login.address}/api2/json"
        authorization = {"Authorization": f"PVEAPIToken={login.token}={secret}"}
        self._client = HttpClient(
            headers=authorization, certificate=login.certificate, follows=True
        )

    async def get(self, path: str, shape: TypeAdapter[Shape]) -> Shape:
        """Return what is at a path; raise Declined, because a question that fails did nothing."""
        with _nothing_asked():
            return self._taken(
                await self._client.get(f"{self._root}/{path}", self.patience.answer), shape
            )

    async def post(self, path: str, form: Mapping[str, str]) -> str:
        """Return the task, or whatever it is named, that was begun.

        Raise Declined when nothing was, or DriverError.
        """
        try:
            reply = await self._client.send(
                "POST", f"{self._root}/{path}", form, self.patience.answer
            )
        except HttpFault as error:
            raise Declined(error.message) if error.unheard else error from error
        return self._taken(reply, NAME) or ""

    async def exit_of(self, task: str, seconds: float) -> str:
        """Return how a task ended, empty while it goes on after so long or nobody can tell."""
        path = (
            f"nodes/{task.split(':')[1]}/tasks/{quote(task, safe='')}/status"
            if task.count(":")
            else ""
        )
        with anyio.move_on_after(seconds if path else 0):
            while True:
                try:
                    seen = await self.get(path, TASK)
                except DriverError:
                    return ""
                if seen.status == "stopped":
                    return seen.exitstatus or "it ended without a word"
                await anyio.sleep(POLL_SECONDS)
        return ""

    async def lacks(self, privilege: str, path: str) -> Reason:
        """Return what this token may not do and how it may, none when it has a privilege.

        Raise Declined.
        """
        held = await self.get(f"access/permissions?path={quote(path, safe='')}", PERMISSIONS)
        if privilege in held.get(path, {}):
            return Reason()
        return Reason(
            f"the token {self.token} has no {privilege} at {path} of {self.address}",
            self._remedy(path),
        )

    def _remedy(self, path: str) -> str:
        """Return how rights are given: a token has at most those of its user."""
        user = self.token.partition("!")[0]
        return (
            f"it and its user need a role that has it: `pveum acl modify {path} --roles ROLE"
            f" --users '{user}' --tokens '{self.token}'` on a node"
        )

    def _taken(self, reply: Reply, shape: TypeAdapter[Shape]) -> Shape:
        if reply.status != OK:
            raise self._failure(reply.status)(
                f"{reply.asked} answered {reply.status}"
                f" {reply.elsewhere or reply.reason or reply.excerpt}{self._hint(reply)}"
            )
        content = reply.json()
        try:
            return shape.validate_python(content["data"] if isinstance(content, dict) else content)
        except (KeyError, ValidationError) as error:
            raise DriverError(
                f"{reply.asked} answered with {reply.excerpt!r}, which Proxmox VE does not"
            ) from error

    def _failure(self, status: int) -> Callable[[str], DriverError]:
        """Return what makes the error of a status out of a sentence."""
        if status == UNAUTHORIZED:
            return self._refused
        if status == FORBIDDEN:
            return Barred
        return Declined if BAD_REQUEST <= status <= NOT_IMPLEMENTED else DriverError

    def _hint(self, reply: Reply) -> str:
        user, _, name = self.token.partition("!")
        hints = {
            BAD_REQUEST: f" ({reply.excerpt})",
            UNAUTHORIZED: (
                "; `token:` and `secret:` are in the power of the host in the inventory, and"
                f" `pveum user token list {user}` on a node shows whether there is a {name}"
            ),
            FORBIDDEN: f"; {self._remedy('PATH')}",
        }
        return hints.get(reply.status, "")


@contextmanager
def _nothing_asked() -> Iterator[None]:
    """Say of what goes wrong here that nothing comes of it later."""
    try:
        yield
    except Declined:
        raise
    except DriverError as error:
        raise Declined(error.message) from error


def failed(exit_status: str) -> bool:
    """Return whether a task that ended so did not do what it was to do; warnings are no failure."""
    return exit_status not in {"", "OK"} and not exit_status.startswith("WARNINGS")
