"""The dialects of smart plugs, answering as the real ones do.

Bodies and challenges are those of Tasmota 15 (its webserver's source), a Shelly 1 and a Shelly Plug
S with firmware 1.12, a Shelly Plus Plug S (Switch and Authentication in
shelly-api-docs.shelly.cloud/gen2) and Home Assistant's REST API.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Callable
from typing import Any
from urllib.request import parse_http_list, parse_keqv_list

from tests.rigs.plug_server import Answer, Plug, Request


class Tasmota(Plug):
    """A plug with Tasmota; `names` are those of its relays, `texts` those of their states."""

    names: tuple[str, ...] = ("POWER",)
    texts: tuple[str, str] = ("OFF", "ON")
    listed = False

    def refusal(self, request: Request) -> Answer | None:
        if self.knows_basic(request):
            return None
        return Answer({"WARNING": "Need user=<username>&password=<password>"}, 401)

    def answer(self, request: Request) -> Answer:
        if request.path != "/cm":
            return Answer("File Not Found\n", 404, "text/plain")
        command, _, rest = request.query.get("cmnd", "").partition(" ")
        if (command, rest) == ("Status", "8"):
            return Answer({"StatusSNS": {"Time": "2026-03-01T02:00:00", **self._energy()}})
        place = command.removeprefix("Power") or "1"
        if not command.startswith("Power") or not place.isdigit():
            return Answer({"Command": "Unknown"})
        if not 0 < int(place) <= len(self.names):
            return Answer({"Command": "Error"})
        if rest in {"On", "Off"}:
            self.turn(rest == "On")
            return Answer({self.names[int(place) - 1]: self.texts[rest == "On"]})
        return Answer({self.names[int(place) - 1]: self.texts[self.shown.relay]})

    def _energy(self) -> dict[str, Any]:
        watts = self.shown.watts
        if watts is None:
            return {}
        counted = {"Today": 0.1, "Yesterday": 0.2, "Factor": 0.98, "Voltage": 230, "Current": 0.377}
        if self.listed:
            return {
                "ENERGY": {"Total": [9.0, self.watt_hours / 1000], "Power": [300, watts], **counted}
            }
        return {"ENERGY": {"Total": self.watt_hours / 1000, "Power": watts, **counted}}


class Shelly1(Plug):
    """A plug of Shelly's first generation; one without a meter says 0 W all the same."""

    def refusal(self, request: Request) -> Answer | None:
        if self.knows_basic(request):
            return None
        return Answer(
            "401 Unauthorized", 401, "text/plain", {"WWW-Authenticate": 'Basic realm="Shelly"'}
        )

    def answer(self, request: Request) -> Answer:
        shown = self.shown
        if request.path == "/status":
            meter: dict[str, Any] = {"power": 0.0, "is_valid": True}
            if shown.watts is not None:
                counted = {
                    "timestamp": 1772330400,
                    "counters": [85.0, 85.0, 85.0],
                    "total": int(self.watt_hours * 60),
                }
                meter = {"power": shown.watts, "overpower": 0.0, "is_valid": True, **counted}
            return Answer(
                {
                    "wifi_sta": {"connected": True},
                    "relays": [self._relay(shown.relay)],
                    "meters": [meter],
                }
            )
        if request.path == "/relay/0":
            if "turn" in request.query:
                self.turn(request.query["turn"] == "on")
            return Answer(self._relay(self.relay))
        return Answer("Not Found", 404, "text/plain")

    def _relay(self, on: bool) -> dict[str, Any]:
        timer = {"has_timer": False, "timer_started": 0, "timer_duration": 0, "timer_remaining": 0}
        return {"ison": on, **timer, "overpower": False, "source": "http"}


class Shelly2(Plug):
    """A plug of Shelly's second generation, which asks for a digest and checks it."""

    realm = "shellyplusplugs-543204547478"
    challenge = 'Digest qop="auth", realm="{realm}", nonce="{nonce}", algorithm=SHA-256'

    def __init__(
        self, relay: bool = True, watts: float | None = 85.0, password: str | None = None
    ) -> None:
        super().__init__(relay, watts, password)
        self.nonces: set[str] = set()

    def refusal(self, request: Request) -> Answer | None:
        if self.password is None or self._is_proved(request):
            return None
        nonce = secrets.token_hex(4)
        self.nonces.add(nonce)
        return Answer(
            "",
            401,
            headers={"WWW-Authenticate": self.challenge.format(realm=self.realm, nonce=nonce)},
        )

    def _is_proved(self, request: Request) -> bool:
        """Whether a request holds RFC 7616's digest of the password, for its target, once."""
        scheme, _, fields = request.headers.get("Authorization", "").partition(" ")
        if scheme != "Digest":
            return False
        told = parse_keqv_list(parse_http_list(fields))
        if (
            told["nonce"] not in self.nonces
            or told["uri"] != request.target
            or told["algorithm"] != "SHA-256"
        ):
            return False
        self.nonces.discard(told["nonce"])
        secret, asked = (
            _sha256(f"{self.user}:{self.realm}:{self.password}"),
            _sha256(f"{request.method}:{request.target}"),
        )
        proof = _sha256(f"{secret}:{told['nonce']}:{told['nc']}:{told['cnonce']}:auth:{asked}")
        return told["username"] == self.user and told["response"] == proof

    def answer(self, request: Request) -> Answer:
        if request.path not in {"/rpc/Switch.GetStatus", "/rpc/Switch.Set"}:
            return Answer(
                {"code": 404, "message": f"No handler for {request.path.removeprefix('/rpc/')}"},
                404,
            )
        if request.query.get("id") != "0":
            return Answer(
                {
                    "code": -105,
                    "message": f"Argument 'id', value {request.query.get('id')} not found!",
                },
                500,
            )
        if request.path == "/rpc/Switch.Set":
            was = self.relay
            self.turn(request.query["on"] == "true")
            return Answer({"was_on": was})
        shown = self.shown
        status: dict[str, Any] = {"id": 0, "source": "HTTP_in", "output": shown.relay}
        if shown.watts is not None:
            counted = {
                "total": self.watt_hours,
                "by_minute": [1416.667, 1416.667, 1416.667],
                "minute_ts": 1772330400,
            }
            status |= {"apower": shown.watts, "voltage": 230.1, "current": 0.37, "aenergy": counted}
        return Answer({**status, "temperature": {"tC": 36.4, "tF": 97.5}})


class HomeAssistant(Plug):
    """Home Assistant with one switch and one sensor; where it hears no plug, both are `word`."""

    word = ""
    unit = "W"
    assumed = False

    def refusal(self, request: Request) -> Answer | None:
        if request.headers.get("Authorization") == f"Bearer {self.password}":
            return None
        return Answer("401: Unauthorized", 401, "text/plain")

    def answer(self, request: Request) -> Answer:
        shown = self.shown
        match request.method, request.path.removeprefix("/api/"):
            case "GET", "states/switch.gpu1":
                return Answer(
                    self._entity(
                        "switch.gpu1",
                        "on" if shown.relay else "off",
                        {"assumed_state": True} if self.assumed else {},
                    )
                )
            case "GET", "states/sensor.gpu1_power" if shown.watts is not None:
                value = shown.watts / 1000 if self.unit == "kW" else shown.watts
                return Answer(
                    self._entity(
                        "sensor.gpu1_power", str(value), {"unit_of_measurement": self.unit}
                    )
                )
            case "POST", "services/switch/turn_on" | "services/switch/turn_off":
                on, was = request.path.endswith("on"), self.relay
                if json.loads(request.body) != {"entity_id": "switch.gpu1"} or self.word:
                    return Answer([])
                self.turn(on)
                return Answer(
                    [] if was == on else [self._entity("switch.gpu1", "on" if on else "off", {})]
                )
            case "GET", place if place.startswith("states/"):
                return Answer({"message": "Entity not found."}, 404)
            case _:
                return Answer("404: Not Found", 404, "text/plain")

    def _entity(self, name: str, state: str, attributes: dict[str, Any]) -> dict[str, Any]:
        changed = "2026-03-01T02:00:00.000000+00:00"
        return {
            "entity_id": name,
            "state": self.word or state,
            "attributes": attributes,
            "last_changed": changed,
        }


DIALECTS: dict[str, Callable[[], Plug]] = {
    "tasmota": Tasmota,
    "shelly1": Shelly1,
    "shelly2": Shelly2,
    "homeassistant": HomeAssistant,
}


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
