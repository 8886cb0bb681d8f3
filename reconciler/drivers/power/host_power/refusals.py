"""Remember which passwords were refused: a BMC locks an account whose wrong password is repeated with every look."""

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

Refused: TypeAlias = "Callable[[str], Barred]"
"""Be told, in a sentence, that a password was refused; what it returns is to be raised."""


class Account(NamedTuple):
    """Who asks, where, and about which host."""

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
        last = self._last.get(account)
        if (
            last is not None
            and last.password == hash(password)
            and self._clock.boot() - last.at < REST_SECONDS
        ):
            raise Barred(last.sentence)
        return partial(self._refused, account, hash(password))

    def _refused(self, account: Account, password: int, sentence: str) -> Barred:
        said = f"{sentence}; the same credentials are not shown again within {REST_SECONDS:.0f} s"
        self._last[account] = _Refusal(password, self._clock.boot(), said)
        return Barred(said)
