"""Refusals of passwords: a BMC locks an account whose wrong password comes with every look."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from reconciler.errors import Barred

if TYPE_CHECKING:
    from collections.abc import Callable

    from reconciler.ports import Clock

REST_SECONDS = 60.0
"""How long a refused password is not shown again: those that lock accounts count failures of about
a minute."""

NOT_AGAIN = f"the same credentials are not shown again within {REST_SECONDS:.0f} s"

Refused: TypeAlias = "Callable[[str], Barred]"
"""What is told, in a sentence, that a password was refused, and gives the error to raise."""


class Account(NamedTuple):
    """The user that asks at an address about a host."""

    host: str
    address: str
    user: str


class _Refusal(NamedTuple):
    password: int
    at: float
    sentence: str


class Refusals:
    """The last refusal of each account, for all drivers of a controller.

    Of the password only its hash is kept.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._last: dict[Account, _Refusal] = {}

    def showing(self, account: Account, password: str) -> Refused:
        """Let a password be shown.

        Raise Barred with the sentence of before where it was refused a moment ago.
        """
        known = hash(password)
        last = self._last.get(account)
        # Another password may be the one that fixes it.
        if last and last.password == known and self._clock.boot() - last.at < REST_SECONDS:
            raise Barred(last.sentence)
        return partial(self._refused, account, known)

    def _refused(self, account: Account, password: int, sentence: str) -> Barred:
        said = f"{sentence}; {NOT_AGAIN}"
        self._last[account] = _Refusal(password, self._clock.boot(), said)
        return Barred(said)
