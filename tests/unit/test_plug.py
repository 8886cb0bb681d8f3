from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from reconciler.drivers.power import plug

ASSISTANT = {
    "dialect": "homeassistant",
    "address": "h",
    "entity": "switch.a",
    "password": {"from_env": "T"},
}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            {"dialect": "homeassistant", "address": "http://ha:8123"},
            "needs `entity` (such as switch.gpu1) and `password`",
        ),
        (
            {"dialect": "shelly1", "address": "p", "entity": "switch.a"},
            "are for the dialect homeassistant, not for shelly1",
        ),
        ({"dialect": "tasmota", "address": "p", "channel": 0}, "Tasmota counts sockets from 1"),
        ({"dialect": "tasmota", "address": "admin:x@p"}, "without user and path"),
        ({"dialect": "tasmota", "address": "p", "user": "a:b"}, "expected the name of a user"),
        (
            {"dialect": "homeassistant", "address": "h", "entity": "light.a"},
            "expected the name of a switch",
        ),
        ({"dialect": "tasmota", "address": "p", "password": "plain"}, "password"),
        ({**ASSISTANT, "channel": 1}, "`channel` is not for homeassistant"),
    ],
)
def test_options_that_do_not_fit_together_are_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError) as caught:
        plug.Options.model_validate(options)
    assert said in str(caught.value)
