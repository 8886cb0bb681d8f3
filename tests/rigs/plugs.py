"""Smart plugs for tests: small HTTP servers that answer as the real ones do, each with a relay, a
meter and faults.

Bodies and challenges are those of Tasmota 15 (its webserver's source), a Shelly 1 and a Shelly Plug
S with firmware 1.12, a Shelly Plus Plug S (Switch and Authentication in
shelly-api-docs.shelly.cloud/gen2) and Home Assistant's REST API.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import ssl
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal, NamedTuple
from urllib.parse import parse_qsl, urlsplit
from urllib.request import parse_http_list, parse_keqv_list

from tests.served import served

Fault = Literal["", "500", "404", "silent", "hangs up", "garbage", "list", "empty"]

JSON = "application/json"
NEVER = float("inf")


class Request(NamedTuple):
    """One request, with its target as it was written."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes = b""

    @property
    def path(self) -> str:
        return urlsplit(self.target).path

    @property
    def query(self) -> dict[str, str]:
        return dict(parse_qsl(urlsplit(self.target).query))


class Answer(NamedTuple):
    """One answer."""

    content: Any
    status: int = 200
    kind: str = JSON
    headers: Mapping[str, str] = {}

    @property
    def body(self) -> bytes:
        return (
            self.content.encode()
            if isinstance(self.content, str)
            else json.dumps(self.content, separators=(",", ":")).encode()
        )


class Shown(NamedTuple):
    """What a plug shows, from a moment on."""

    since: float
    relay: bool
    watts: float | None


class Plug:
    """A plug of one dialect. Its relay obeys at once, and calls `switched`; what it shows is `lag`
    seconds old.

    What is plugged in draws what `load` says, where it is set, and otherwise `watts`.
    """

    def __init__(
        self, relay: bool = True, watts: float | None = 85.0, password: str | None = None
    ) -> None:
        self.relay, self.watts = relay, watts
        self.watt_hours = 1500.0
        self.user, self.password = "admin", password
        self.fault: Fault = ""
        self.lag = 0.0
        self.switched: Callable[[bool], None] = lambda _: None
        self.load: Callable[[], float] | None = None
        self.asked: list[Request] = []
        self.switches: list[tuple[float, bool]] = []
        self.port = 0
        self.ended = threading.Event()
        self._history = [Shown(-NEVER, relay, watts)]

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def draw(self, watts: float | None) -> None:
        """Let what is plugged in draw so much; None takes the meter away."""
        self.watts = watts
        self._history.append(Shown(time.monotonic(), self.relay, watts))

    def turn(self, on: bool) -> None:
        """Switch, as an order or a finger on the button does."""
        was, self.relay = self.relay, on
        self.switches.append((time.monotonic(), on))
        self._history.append(Shown(time.monotonic(), on, self.watts))
        if was != on:
            self.switched(on)

    @property
    def shown(self) -> Shown:
        """Return what it shows now; no power flows through a relay that is off."""
        at = time.monotonic() - self.lag
        found = [shown for shown in self._history if shown.since <= at][-1]
        return found._replace(watts=0.0) if found.watts is not None and not found.relay else found

    def respond(self, request: Request) -> Answer | None:
        """Return the answer to a request, None for one that breaks off."""
        self.asked.append(request)
        if self.load is not None:
            self.draw(self.load())
        match self.fault:
            case "500":
                return Answer("Internal Server Error", 500, "text/plain")
            case "404":
                # Tasmota's own page repeats what it was asked.
                return Answer(
                    f"File Not Found\n\nURI: {request.target}\nMethod: GET\n", 404, "text/plain"
                )
            case "garbage":
                return Answer("<!DOCTYPE html><title>Router</title>", kind="text/html")
            case "list":
                return Answer([])
            case "empty":
                return Answer({})
            case "silent" | "hangs up":
                if self.fault == "silent":
                    self.ended.wait()
                return None
            case "":
                return self.refusal(request) or self.answer(request)

    def refusal(self, request: Request) -> Answer | None:
        """Return what is said to one who may not ask, None to one who may."""
        raise NotImplementedError

    def answer(self, request: Request) -> Answer:
        """Return what is said to one who may ask."""
        raise NotImplementedError

    def knows_basic(self, request: Request) -> bool:
        """Return whether a request says who asks by RFC 7617."""
        expected = b64encode(f"{self.user}:{self.password}".encode()).decode()
        return self.password is None or request.headers.get("Authorization") == f"Basic {expected}"


class Tasmota(Plug):
    """A plug with Tasmota; `names` are what its relays are called, `texts` what their states are."""

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
        """Return whether a request holds the digest of RFC 7616, of this password and for this
        target, with a fresh nonce.
        """
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
    """Home Assistant with one switch and one sensor; `word` is what both are where it does not hear
    the plug.
    """

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


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    plug: Plug

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of clients that hang up."""


class _Asked(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {name.title(): value for name, value in self.headers.items()}
        answer = self.server.plug.respond(Request(self.command, self.path, headers, body))
        if answer is None:
            self.close_connection = True
            return
        self.send_response(answer.status)
        for name, value in {
            "Content-Type": answer.kind,
            "Content-Length": str(len(answer.body)),
            **answer.headers,
        }.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer.body)

    def do_POST(self) -> None:
        self.do_GET()

    def log_message(self, *_: object) -> None:
        """Say nothing of single requests."""


@contextmanager
def serving(plug: Plug, context: ssl.SSLContext | None = None) -> Iterator[None]:
    """Serve a plug on a loopback port, over TLS with a context."""
    server = _Server(("127.0.0.1", 0), _Asked)
    server.plug = plug
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    plug.port = server.server_address[1]
    with served(server):
        try:
            yield
        finally:
            plug.ended.set()


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
