"""The options of a smart plug, which its driver and all its dialects read."""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from reconciler.model.address import endpoint
from reconciler.model.quantity import WHOLE
from reconciler.model.secret import Secret


def _fitting(pattern: str, phrase: str) -> AfterValidator:
    """Refuse a text that a pattern does not fit."""

    def check(text: str) -> str:
        # The text is not repeated, because some people write passwords into addresses.
        if not re.fullmatch(pattern, text):
            raise ValueError(f"expected {phrase}")
        return text

    return AfterValidator(check)


def _address(text: str) -> str:
    phrase = (
        "a name or an address, such as plug1.lan, [fd00::5]:8080 or https://ha.lan, without user"
        " and path"
    )
    found = endpoint(text, phrase, ("http", "https"))
    return f"{found.scheme}://{found.place}" if found.scheme else found.place


Address = Annotated[str, AfterValidator(_address)]
Switch = Annotated[
    str, _fitting(r"switch\.[a-z0-9_]+", "the name of a switch, such as switch.gpu1")
]
Sensor = Annotated[
    str, _fitting(r"sensor\.[a-z0-9_]+", "the name of a sensor, such as sensor.gpu1_power")
]
User = Annotated[
    str, Field(max_length=64), _fitting(r"[^:\x00-\x1f]+", "the name of a user, such as admin")
]


class Options(BaseModel):
    """Which plug the host is in, and how to speak to it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    dialect: Literal["tasmota", "shelly1", "shelly2", "homeassistant"] = Field(
        description="What it speaks; shelly1 is Shelly's first generation, shelly2 every later one."
    )
    address: Address = Field(
        description=(
            "The plug's name or address, with its port where that is not 80; for Home Assistant its"
            " URL, such as http://ha.lan:8123."
        )
    )
    channel: Annotated[int, Field(ge=0, le=31), WHOLE] | None = Field(
        default=None,
        description=(
            "Which of its sockets: Tasmota counts from 1, Shelly from 0; the first without."
        ),
    )
    entity: Switch | None = Field(
        default=None, description="The switch in Home Assistant, such as switch.gpu1."
    )
    sensor: Sensor | None = Field(
        default=None,
        description="What measures its power in Home Assistant, such as sensor.gpu1_power.",
    )
    user: User = Field(default="admin", description="Who asks; Home Assistant knows by the token.")
    password: Secret | None = Field(
        default=None,
        description=(
            "Where its password is, if it has one; for Home Assistant, a long-lived access token."
        ),
    )
    certificate: Annotated[str, Field(pattern=r"^/")] | None = Field(
        default=None,
        description=(
            "A PEM file with the certificate that it shows over https, if that is self-signed."
        ),
    )
    below: Annotated[float, Field(gt=0, le=1000)] = Field(
        default=10.0,
        description=(
            "The host counts as off while it draws fewer watts than this: one that is off draws up"
            " to 5, one that idles 20 and more."
        ),
    )

    @model_validator(mode="after")
    def _fits(self) -> Self:
        is_assistant = self.dialect == "homeassistant"
        problem = self._problem_at_assistant() if is_assistant else self._problem_elsewhere()
        if problem:
            raise ValueError(problem)
        return self

    def _problem_at_assistant(self) -> str:
        if self.entity is None or self.password is None:
            return (
                "the dialect homeassistant needs `entity` (such as switch.gpu1) and `password`"
                " (where its token is)"
            )
        if self.channel is not None:
            return "`channel` is not for homeassistant, whose `entity` names one socket"
        return ""

    def _problem_elsewhere(self) -> str:
        if self.entity or self.sensor:
            return (
                f"`entity` and `sensor` are for the dialect homeassistant, not for {self.dialect}"
            )
        if self.dialect == "tasmota" and self.channel == 0:
            return "Tasmota counts sockets from 1, and its channel 0 would be all of them"
        return ""

    @property
    def url(self) -> str:
        """What every request begins with."""
        return self.address if "://" in self.address else f"http://{self.address}"
