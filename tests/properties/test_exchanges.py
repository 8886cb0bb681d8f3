"""Every request is ended once, counted while it lives, and sent to admitted units alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from reconciler.gateway import signs_of_life
from reconciler.gateway.engine import EngineConnection
from reconciler.gateway.exchange import Exchange
from reconciler.gateway.naming import Spoken
from reconciler.gateway.seat import Seat
from tests.gateway_machine import GatewayMachine

DAYS = settings(
    max_examples=300,
    stateful_step_count=30,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


def test_whatever_clients_engines_and_switches_do() -> None:
    run_state_machine_as_test(GatewayMachine, settings=DAYS)


def open_without_identity(patch: pytest.MonkeyPatch) -> None:
    def is_open(seat: Any) -> bool:
        has_room = seat.in_flight < seat._at_once and not seat._is_paused
        return has_room and seat.pool is not None

    patch.setattr(Seat, "is_open", property(is_open))


def count_kept_on_cancel(patch: pytest.MonkeyPatch) -> None:
    def cancel(exchange: Any) -> None:
        if exchange._engine is not None:
            exchange._engine.abort()
            return
        cancels(exchange)

    cancels = Exchange.cancel
    patch.setattr(Exchange, "cancel", cancel)


def retry_after_the_first_byte(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(
        EngineConnection, "heard", property(lambda _: 0, lambda _, __: None), raising=False
    )


def pause_never_lifted(patch: pytest.MonkeyPatch) -> None:
    def pause(seat: Seat, *, paused: bool) -> None:
        if paused:
            pauses(seat, paused=True)

    pauses = Seat.pause
    patch.setattr(Seat, "pause", pause)


def keep_alive_with_two_newlines(patch: pytest.MonkeyPatch) -> None:
    def keep_alive(_: Spoken) -> bytes:
        return b": keepalive\n\n"

    patch.setattr(signs_of_life, "keep_alive", keep_alive)


def idle_pool_kept_through_a_stop(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Seat, "hang_up", lambda _: 0)


FAULTS = (
    open_without_identity, count_kept_on_cancel, retry_after_the_first_byte, pause_never_lifted,
    keep_alive_with_two_newlines, idle_pool_kept_through_a_stop,
)  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_that_is_put_in_is_noticed(
    fault: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    fault(monkeypatch)
    with pytest.raises(AssertionError):
        run_state_machine_as_test(GatewayMachine, settings=DAYS)
