"""What passes as an address can be dialled, and is judged alike by every driver."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from reconciler.drivers.access import ssh
from reconciler.drivers.power import ipmi, plug, proxmox, redfish, wol
from reconciler.model import address
from reconciler.model.inventory import PowerRoles

WHERE: dict[str, tuple[type[BaseModel], dict[str, Any]]] = {
    "redfish": (redfish.Options, {"user": "ops", "password": {"from_env": "P"}}),
    "plug": (plug.Options, {"dialect": "shelly2"}),
    "proxmox": (proxmox.Options, {"token": "a@pve!b", "secret": {"from_env": "S"}, "guest": 100}),
}
DIALLED = {
    "box.lan": ("box.lan", None),
    "box.lan.": ("box.lan.", None),
    "gpu_box": ("gpu_box", None),
    "box.lan:8443": ("box.lan", 8443),
    "10.0.0.9:1": ("10.0.0.9", 1),
    "fd00::5": ("[fd00::5]", None),
    "[fd00::5]": ("[fd00::5]", None),
    "[fd00::5]:65535": ("[fd00::5]", 65535),
    "https://box.lan": ("box.lan", None),
    "https://box.lan:8006/": ("box.lan", 8006),
    "https://fd00::5/": ("[fd00::5]", None),
}
UNDIALLED = [
    "[fd00::5", "fd00::5]", "fd00::5:::", "fe80::1%eth0", "[box.lan]", "[]", "plug.lan:http",
    "plug.lan:", "plug.lan:0", "plug.lan:65536", "plug.lan:" + "9" * 5000, "plug.lan:\u0663",
    "plug..lan", ".lan", "-a.lan", "a-.lan", "a" * 64 + ".lan", ".".join(["a" * 60] * 5),
    "300.1.2.3", "1.2.3", "a.1", "", "a b", "a:b:c", "ann:pw@box.lan", "box.lan/path",
    "ftp://box.lan", "https://", "b\u00e9.lan",
]  # fmt: skip


def judged(kind: str, text: str) -> str:
    options, rest = WHERE[kind]
    made: Any = options.model_validate({**rest, "address": text})
    return str(made.address)


@pytest.mark.parametrize("kind", WHERE)
@pytest.mark.parametrize("text", DIALLED)
def test_every_driver_that_speaks_http_takes_the_same_addresses(kind: str, text: str) -> None:
    host, port = DIALLED[text]
    default = {"proxmox": 8006}.get(kind)
    scheme = "https://" if kind == "plug" and "://" in text else ""
    assert judged(kind, text) == f"{scheme}{host}" + (
        f":{port or default}" if port or default else ""
    )


@pytest.mark.parametrize("kind", WHERE)
@pytest.mark.parametrize("text", UNDIALLED)
def test_what_cannot_be_dialled_is_refused_and_not_repeated(kind: str, text: str) -> None:
    with pytest.raises(ValidationError) as caught:
        judged(kind, text)
    (error,) = caught.value.errors()
    assert error["type"] == "value_error"
    assert error["msg"].startswith("Value error, expected ")
    assert "ann" not in error["msg"]


@given(
    st.text(alphabet="aZ09.:[]-_/h%@ \u00e9", max_size=20)
    | st.from_regex(r"\A(https?://)?[a-f0-9:.\[\]-]{1,20}/?\Z")
)
def test_whatever_passes_is_a_url(text: str) -> None:
    try:
        found = address.endpoint(text, "one", ("http", "https"))
    except ValueError:
        return
    url = httpx.URL(f"https://{found.place}/redfish/v1")
    assert url.host
    assert url.port == (None if found.port == 443 else found.port)


@pytest.mark.parametrize(
    "text", ["gpu-box.lan", "gpu1", "10.0.0.7", "fd00::7", "fe80::1%eth0", "b\u00fcro"]
)
def test_a_machine_is_a_name_or_an_address_without_brackets(text: str) -> None:
    assert ssh.Options(address=text).address == text
    assert PowerRoles(canary=text).canary == text
    assert (
        ipmi.Options.model_validate(
            {"address": text, "user": "u", "password": {"from_env": "P"}}
        ).address
        == text
    )


@pytest.mark.parametrize(
    "text",
    [
        "gpu-box..lan",
        "10.0.0.7:22",
        "[fd00::7]",
        "a" * 64,
        "https://box",
        "300.1.2.3",
        "-oProxyCommand=x",
    ],
)
def test_what_is_no_machine_is_refused_for_every_role(text: str) -> None:
    for options, key in ((ssh.Options, "address"), (PowerRoles, "canary")):
        with pytest.raises(ValidationError, match="expected a name or an address"):
            options.model_validate({key: text})


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("192.168.1.0/24", "; that of the network 192.168.1.0/24 is 192.168.1.255"),
        ("10.1.2.3/255.255.0.0", "; that of the network 10.1.2.3/255.255.0.0 is 10.1.255.255"),
        ("fd00::/64", ""), ("lan", ""), ("192.168.1.256", ""),
    ],
)  # fmt: skip
def test_packets_go_to_an_address_and_of_a_network_it_is_offered(text: str, hint: str) -> None:
    with pytest.raises(ValidationError) as caught:
        wol.Options(mac="aa:bb:cc:dd:ee:01", broadcast=text)
    (error,) = caught.value.errors()
    assert (
        error["msg"]
        == f"Value error, expected the broadcast address of a network, such as 192.168.1.255{hint}"
    )
    with pytest.raises(ValidationError, match="an IPv4 address of the sender"):
        wol.Options(mac="aa:bb:cc:dd:ee:01", source=text)


def test_packets_go_where_they_are_sent() -> None:
    made = wol.Options(mac="aa:bb:cc:dd:ee:01", broadcast="192.168.1.255", source="192.168.1.5")
    assert (made.broadcast, made.source) == ("192.168.1.255", "192.168.1.5")


@pytest.mark.parametrize(
    "text",
    [
        "aa:bb:cc:dd:ee:01", "AA-BB-CC-DD-EE-01", "aabb.ccdd.ee01", "aabbccddee01",
        "AABB-CCDD-EE01", "aabb:ccdd:ee01", "AA-bb:CC-dd:EE:01",
    ],
)  # fmt: skip
def test_a_card_is_known_by_its_address_however_it_is_shown(text: str) -> None:
    assert wol.Options(mac=text).mac == "aa:bb:cc:dd:ee:01"


@pytest.mark.parametrize(
    "text",
    ["aa:bb:cc:dd:ee:0", "aa:bb:cc:dd:ee", "aabb.ccdd.ee0", "aabbccddee0", "aabbccddee0g", "a.a.b"],
)
def test_half_an_address_of_a_card_is_refused(text: str) -> None:
    with pytest.raises(ValidationError, match="six pairs of hexadecimal digits, such as"):
        wol.Options(mac=text)


@pytest.mark.parametrize("text", ["llm", "_svc", "first.last", "box$"])
def test_a_user_is_named_as_systems_name_them(text: str) -> None:
    assert address.account(text) == text


@pytest.mark.parametrize("text", ["-l", "", "a b", "1st", "a" * 65, "a@b"])
def test_what_names_no_user_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected the name of a user, such as llm"):
        address.account(text)
