"""Proxmox API: ask it as the holder of a token, and follow the tasks that it answers with.

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
from reconciler.edge.secret import is_word, read
from reconciler.errors import Barred, Declined, DriverError
from reconciler.model.reason import Reason
from reconciler.model.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from reconciler.edge.http_reply import Reply

Shape = TypeVar("Shape")
Refused: TypeAlias = "Callable[[str], Barred]"
"""What makes an error of the sentence about a refused secret, and may remember the refusal."""


POLL_SECONDS = 0.3
OK, BAD_REQUEST, UNAUTHORIZED, FORBIDDEN, NOT_IMPLEMENTED = 200, 400, 401, 403, 501


class ProxmoxLogin(NamedTuple):
    """The address of the API, the token that asks, and the certificate that the API shows."""

    address: str
    token: str
    secret: Secret
    certificate: str | None


class Patience(NamedTuple):
    """Seconds for an answer, for a task, and for the beginning of one that may take minutes."""

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
    """The API for the holder of one token.

    It is made for one occasion, because the secret is read when it is made.
    """

    def __init__(
        self, login: ProxmoxLogin, showing: Callable[[str], Refused], patience: Patience = PATIENCE
    ) -> None:
        """Read the secret, of which `showing` knows whether it may be shown to the API.

        Raise Declined, or Barred where it was refused a moment ago.
        """
        secret = _secret(login)
        self.address, self.token, self.patience = login.address, login.token, patience
        self._refused = showing(secret)
        headers = {"Authorization": f"PVEAPIToken={login.token}={secret}"}
        self._client = HttpClient(headers, certificate=login.certificate, follows=True)

    async def get(self, path: str, shape: TypeAdapter[Shape]) -> Shape:
        """Ask for what is at a path; raise Declined, because a question that fails did nothing."""
        with _nothing_asked():
            reply = await self._client.get(self._url(path), self.patience.answer)
            return self._taken(reply, shape)

    def _url(self, path: str) -> str:
        return f"https://{self.address}/api2/json/{path}"

    async def post(self, path: str, form: Mapping[str, str]) -> str:
        """Begin something, and return its task, or the name that it is given.

        Raise Declined when nothing was begun, DriverError when that is not known.
        """
        seconds = self.patience.answer
        try:
            reply = await self._client.send("POST", self._url(path), form, seconds)
        except HttpFault as error:
            raise Declined(error.message) if error.unheard else error from error
        return self._taken(reply, NAME) or ""

    async def exit_of(self, task: str, seconds: float) -> str:
        """Wait up to `seconds` for how a task ends; empty if it goes on or cannot be asked."""
        # UPID:node:...; what is not named so is no task, and has nothing to be asked for.
        _, is_task, rest = task.partition(":")
        if not is_task:
            return ""
        node = rest.partition(":")[0]
        with anyio.move_on_after(seconds):
            return await self._exit_at(f"nodes/{node}/tasks/{quote(task, safe='')}/status")
        return ""

    async def _exit_at(self, path: str) -> str:
        while True:
            try:
                seen = await self.get(path, TASK)
            except DriverError:
                return ""
            if seen.status == "stopped":
                return seen.exitstatus or "it ended without a word"
            await anyio.sleep(POLL_SECONDS)

    async def lacks(self, privilege: str, path: str) -> Reason:
        """Explain that this token lacks a privilege, and how to give it; raise Declined.

        The reason is empty when the token has it.
        """
        held = await self.get(f"access/permissions?path={quote(path, safe='')}", PERMISSIONS)
        if privilege in held.get(path, {}):
            return Reason()
        found = f"the token {self.token} has no {privilege} at {path} of {self.address}"
        return Reason(found, self._remedy(path))

    def _remedy(self, path: str) -> str:
        # A token has at most the rights of its user.
        user = self.token.partition("!")[0]
        return (
            f"it and its user need a role that has it: `pveum acl modify {path} --roles ROLE"
            f" --users '{user}' --tokens '{self.token}'` on a node"
        )

    def _taken(self, reply: Reply, shape: TypeAdapter[Shape]) -> Shape:
        if reply.status != OK:
            raise self._failure(reply)
        content = reply.json()
        try:
            return shape.validate_python(content["data"] if isinstance(content, dict) else content)
        except (KeyError, ValidationError) as error:
            said = f"{reply.asked} answered with {reply.excerpt!r}, which Proxmox VE does not"
            raise DriverError(said) from error

    def _failure(self, reply: Reply) -> DriverError:
        why = reply.elsewhere or reply.reason or reply.excerpt
        said = f"{reply.asked} answered {reply.status} {why}{self._hint(reply)}"
        if reply.status == UNAUTHORIZED:
            return self._refused(said)
        if reply.status == FORBIDDEN:
            return Barred(said)
        # Said by the API itself, before anything was done.
        if BAD_REQUEST <= reply.status <= NOT_IMPLEMENTED:
            return Declined(said)
        return DriverError(said)

    def _hint(self, reply: Reply) -> str:
        user, _, name = self.token.partition("!")
        if reply.status == BAD_REQUEST:
            return f" ({reply.excerpt})"
        if reply.status == UNAUTHORIZED:
            return (
                "; `token:` and `secret:` are in the power of the host in the inventory, and"
                f" `pveum user token list {user}` on a node shows whether there is a {name}"
            )
        return f"; {self._remedy('PATH')}" if reply.status == FORBIDDEN else ""


def _secret(login: ProxmoxLogin) -> str:
    secret = read(login.secret)
    if secret and not is_word(secret):
        raise Declined(
            f"what is found as the secret of {login.token} is no secret of a token, which is"
            " one word"
        )
    return secret


@contextmanager
def _nothing_asked() -> Iterator[None]:
    """Turn what goes wrong here into Declined, because nothing comes of it later."""
    try:
        yield
    except Declined:
        raise
    except DriverError as error:
        raise Declined(error.message) from error


def failed(exit_status: str) -> bool:
    """Whether a task that ended so did not do its work; warnings are no failure."""
    return exit_status not in {"", "OK"} and not exit_status.startswith("WARNINGS")
