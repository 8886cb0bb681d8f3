"""The roles in a host's power are read from the inventory, with each objection at its place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from reconciler.config.source import FileSource
from reconciler.drivers import DriverCatalog
from reconciler.edge.clock import SystemClock
from reconciler.errors import ConfigError
from reconciler.model.spec import Capabilities, Kind

if TYPE_CHECKING:
    from pathlib import Path

    from reconciler.model.spec import HostSpec, PowerDriver

MAC = "aa:bb:cc:dd:ee:ff"
WOL = f'{{kind: wol, mac: "{MAC}"}}'
PLUG = "{kind: plug, dialect: shelly2, address: plug1.lan}"
BMC = "{kind: ipmi, address: bmc1.lan, user: ana, password: {from_env: BMC}}"
PROGRAMS = "{kind: command, stop: [stop-box], state: [is-box-on]}"
KINDS = "access, command, ipmi, none, plug, proxmox, redfish or wol"


def source(
    directory: Path,
    power: str,
    *,
    access: str = "ssh",
    desired: str = "{version: 1, hosts: {box: {}}}",
) -> FileSource:
    """Write an inventory of two hosts, of which only the first has its power managed."""
    inventory = (
        f"version: 1\nhosts:\n  box:\n    access: {access}\n    power: {power}\n  nuc: {{access:"
        " ssh}\nmodels: {}\n"
    )
    for name, text in (("desired", desired), ("inventory", inventory)):
        (directory / f"{name}.yaml").write_text(text, encoding="utf-8")
    return FileSource(directory, DriverCatalog("", SystemClock()))


def box(directory: Path, power: str, **more: str) -> HostSpec:
    return source(directory, power, **more).read().slices["box"].host


def problems(directory: Path, power: str, **more: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        source(directory, power, **more).read()
    return caught.value.message.replace(f"{directory}/", "").splitlines()


def kind_of(one: PowerDriver | None) -> str | None:
    return one.driver.kind if one else None


def roles(host: HostSpec) -> dict[str, Any]:
    """Return the kind of driver of each role that has one."""
    power = host.power
    kinds = {"wake": [one.driver.kind for one in power.wake], "stop": kind_of(power.stop)}
    kinds |= {"proof": kind_of(power.proof), "force": kind_of(power.force), "canary": power.canary}
    return {role: kind for role, kind in kinds.items() if kind}


NOTHING = Capabilities()
SYSTEM = {"can_shut_down": True, "can_suspend": True}
"""What a host's own system can do."""

SHORT: dict[str, tuple[dict[str, Any], Capabilities]] = {
    "none": ({}, NOTHING),
    WOL: ({"wake": ["wol"], "stop": "access"}, Capabilities(can_wake=True, **SYSTEM)),
    PLUG: (
        {"wake": ["plug"], "stop": "access", "proof": "plug"},
        Capabilities(can_wake=True, can_testify=True, **SYSTEM),
    ),
    BMC: (
        {"wake": ["ipmi"], "stop": "ipmi", "proof": "ipmi"},
        Capabilities(can_wake=True, can_shut_down=True, can_testify=True),
    ),
    "access": ({"stop": "access"}, Capabilities(**SYSTEM)),
    PROGRAMS: (
        {"stop": "command", "proof": "command"},
        Capabilities(can_shut_down=True, can_testify=True),
    ),
    "{kind: command, wake: [wake-box]}": (
        {"wake": ["command"], "stop": "access"},
        Capabilities(can_wake=True, **SYSTEM),
    ),
}


@pytest.mark.parametrize("written", SHORT)
def test_one_driver_does_all_that_it_can_and_the_hosts_own_system_sends_down_what_it_wakes(
    tmp_path: Path, written: str
) -> None:
    host = box(tmp_path, written)
    assert (roles(host), host.capabilities) == SHORT[written]


APART: dict[str, tuple[dict[str, Any], Capabilities]] = {
    f"{{wake: {WOL}}}": (
        {"wake": ["wol"], "stop": "access"},
        Capabilities(can_wake=True, **SYSTEM),
    ),
    f"{{wake: [{WOL}, {PLUG}, {BMC}]}}": (
        {"wake": ["wol", "plug", "ipmi"], "stop": "access"},
        Capabilities(can_wake=True, **SYSTEM),
    ),
    "{wake: none, stop: access}": ({"wake": ["none"], "stop": "access"}, Capabilities(**SYSTEM)),
    f"{{proof: {PLUG}}}": (
        {"stop": "access", "proof": "plug"},
        Capabilities(can_testify=True, **SYSTEM),
    ),
    f"{{wake: {WOL}, stop: {PROGRAMS}, proof: {PLUG}, force: {BMC}, canary: 10.0.0.1}}": (
        {
            "wake": ["wol"],
            "stop": "command",
            "proof": "plug",
            "force": "ipmi",
            "canary": "10.0.0.1",
        },
        Capabilities(can_wake=True, can_shut_down=True, can_testify=True, can_cut=True),
    ),
}


@pytest.mark.parametrize("written", APART)
def test_each_role_may_have_a_driver_of_its_own(tmp_path: Path, written: str) -> None:
    host = box(tmp_path, written)
    assert (roles(host), host.capabilities) == APART[written]


@pytest.mark.parametrize("written", [WOL, f"{{wake: {WOL}}}", f"{{wake: {WOL}, proof: {PLUG}}}"])
def test_the_machine_of_the_controller_is_not_sent_down_by_its_own_system(
    tmp_path: Path, written: str
) -> None:
    host = box(tmp_path, written, access="local")
    assert host.power.stop is None
    assert not host.capabilities.can_shut_down


def test_no_single_driver_ever_cuts_power_that_was_not_written_under_force(tmp_path: Path) -> None:
    assert [box(tmp_path, written).power.force for written in SHORT] == [None] * len(SHORT)


def test_a_driver_may_work_from_another_host_which_is_reached_as_its_inventory_says(
    tmp_path: Path,
) -> None:
    (wake,) = box(tmp_path, f'{{wake: {{kind: wol, mac: "{MAC}", via: nuc}}}}').power.wake
    assert wake.via is not None
    assert (wake.via.host, wake.via.access.kind) == ("nuc", "ssh")
    assert wake.driver.options["mac"] == MAC


@pytest.mark.parametrize(
    "written",
    [
        "10:11:22:33:44:55",
        "52:54:00:12:34:56",
        "1C-11-11-11:11:BD",
        "112233445566",
        "0011.2233.4455",
        "001122334455",
    ],
)
def test_an_address_of_a_card_needs_no_quotes_to_be_text(tmp_path: Path, written: str) -> None:
    (wake,) = box(tmp_path, f"{{kind: wol, mac: {written}}}").power.wake
    digits = written.lower().replace(":", "").replace("-", "").replace(".", "")
    assert str(wake.driver.options["mac"]).replace(":", "") == digits


def test_options_are_completed_by_their_driver(tmp_path: Path) -> None:
    (wake,) = box(tmp_path, '{kind: wol, mac: "AA-BB-CC-DD-EE-FF"}').power.wake
    assert wake.driver == Kind(
        kind="wol",
        options={
            "mac": MAC,
            "via": None,
            "broadcast": None,
            "port": 9,
            "interface": None,
            "source": None,
            "password": None,
            "check": "always",
        },
    )


WRONG: dict[str, list[str]] = {
    "wol": [
        "5:5: hosts.box.power.mac: is missing; expected: The address of the card, such as"
        ' "aa:bb:cc:dd:ee:ff"; `ip link` on the host shows it.'
    ],
    "7": [
        "5:12: hosts.box.power: found 7, expected the name of a driver, or a mapping with `kind`"
        " and its options"
    ],
    "wool": [f'5:12: hosts.box.power: found "wool", expected {KINDS}; did you mean "wol"?'],
    "{wake: wool}": [
        f'5:19: hosts.box.power.wake: found "wool", expected {KINDS}; did you mean "wol"?'
    ],
    "{proof: wool}": [
        f'5:20: hosts.box.power.proof: found "wool", expected {KINDS}; did you mean "wol"?'
    ],
    f"{{wake: {WOL}, stopp: access}}": [
        '5:58: hosts.box.power.stopp: unknown key; did you mean "stop"?'
    ],
    "{kind: wol, mac: x}": [
        '5:29: hosts.box.power.mac: found "x", expected six pairs of hexadecimal digits, such as'
        ' "aa:bb:cc:dd:ee:ff"'
    ],
    "{kind: plug, dialect: shelly2, address: 'plug.lan:http'}": [
        "5:52: hosts.box.power.address: expected a name or an address, such as plug1.lan,"
        " [fd00::5]:8080 or https://ha.lan, without user and path: a port is a number from 1 to"
        " 65535"
    ],
    "{kind: wol, mac: 'aa:bb:cc:dd:ee:01', broadcast: 10.0.0.0/8}": [
        "5:61: hosts.box.power.broadcast: expected the broadcast address of a network, such as"
        " 192.168.1.255; that of the network 10.0.0.0/8 is 10.255.255.255"
    ],
    "{wake: access}": ['5:19: hosts.box.power.wake: found "access", which cannot bring a host up'],
    f"{{wake: [{WOL}, access]}}": [
        '5:59: hosts.box.power.wake.1: found "access", which cannot bring a host up'
    ],
    f"{{stop: {WOL}}}": ['5:19: hosts.box.power.stop: found "wol", which cannot shut a host down'],
    "{proof: access}": [
        '5:20: hosts.box.power.proof: found "access", which cannot tell whether a host is on'
    ],
    "{force: access}": [
        '5:20: hosts.box.power.force: found "access", which cannot cut the power of a host'
    ],
    "{stop: none, proof: none, force: none}": [
        '5:19: hosts.box.power.stop: found "none", which cannot shut a host down',
        '5:32: hosts.box.power.proof: found "none", which cannot tell whether a host is on',
        '5:45: hosts.box.power.force: found "none", which cannot cut the power of a host',
    ],
    f'{{kind: wol, mac: "{MAC}", via: nux}}': [
        '5:55: hosts.box.power.via: found "nux", expected another host of the inventory (nuc); did'
        ' you mean "nuc"?'
    ],
    f'{{kind: wol, mac: "{MAC}", via: box}}': [
        '5:55: hosts.box.power.via: found "box", expected another host of the inventory (nuc)'
    ],
    f'{{wake: {{kind: wol, mac: "{MAC}", via: far}}, stop: {WOL}}}': [
        '5:62: hosts.box.power.wake.via: found "far", expected another host of the inventory (nuc)',
        '5:74: hosts.box.power.stop: found "wol", which cannot shut a host down',
    ],
    "{wake: {kind: wol, mac: x}, proof: access}": [
        (
            '5:36: hosts.box.power.wake.mac: found "x", expected six pairs of hexadecimal digits,'
            ' such as "aa:bb:cc:dd:ee:ff"'
        ),
        '5:47: hosts.box.power.proof: found "access", which cannot tell whether a host is on',
    ],
}


@pytest.mark.parametrize("written", WRONG)
def test_everything_that_speaks_against_a_hosts_power_is_said_at_its_place(
    tmp_path: Path, written: str
) -> None:
    assert problems(tmp_path, written) == [f"inventory.yaml:{line}" for line in WRONG[written]]


def test_a_driver_cannot_work_from_another_host_where_there_is_none(tmp_path: Path) -> None:
    reading = source(tmp_path, "none")
    inventory = (
        f'version: 1\nhosts: {{box: {{power: {{kind: wol, mac: "{MAC}", via: nuc}}}}}}\nmodels:'
        " {}\n"
    )
    (tmp_path / "inventory.yaml").write_text(inventory, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        reading.read()
    assert caught.value.message.endswith(
        '2:65: hosts.box.power.via: found "nuc", expected another host, and there is none'
    )


ASKED = {
    (
        "none",
        "off",
    ): (
        "found off, but nothing in `power:` of box can shut it down; set power: for it in the"
        " inventory, or leave the key out"
    ),
    (f"{{proof: {PLUG}}}", "off"): (
        "found off, but nothing in `power:` of box could bring it up again; name a driver under"
        " wake: there, or `wake: none` if a person does that"
    ),
    (
        "access",
        "suspend",
    ): (
        "found suspend, but nothing in `power:` of box could bring it up again; name a driver under"
        " wake: there, or `wake: none` if a person does that"
    ),
    (
        BMC,
        "suspend",
    ): (
        "found suspend, but nothing in `power:` of box can suspend it; set another power: for it in"
        " the inventory, or leave the key out"
    ),
    ("{wake: none, stop: access}", "auto, active: [], idle: {after: 30m, then: off}"): (
        "found auto, but nothing in `power:` of box wakes it by itself; name a driver under wake:"
        " there"
    ),
}


@pytest.mark.parametrize(("written", "wish"), ASKED)
def test_a_wish_for_power_that_cannot_be_fulfilled_or_undone_is_refused_where_it_stands(
    tmp_path: Path, written: str, wish: str
) -> None:
    desired = f"version: 1\nhosts:\n  box: {{power: {wish}}}\n"
    assert problems(tmp_path, written, desired=desired) == [
        f"desired.yaml:3:16: hosts.box.power: {ASKED[written, wish]}"
    ]


@pytest.mark.parametrize(
    "written", ["{wake: none, stop: access}", WOL, f"{{wake: {WOL}, proof: {PLUG}}}"]
)
def test_a_host_that_a_driver_or_a_person_can_bring_up_again_may_be_wanted_off(
    tmp_path: Path, written: str
) -> None:
    assert (
        source(tmp_path, written, desired="version: 1\nhosts:\n  box: {power: off}\n")
        .read()
        .slices["box"]
        .power
        == "off"
    )


def test_a_host_that_cannot_be_reached_through_another_is_said_with_its_place(
    tmp_path: Path,
) -> None:
    (said,) = problems(tmp_path, "none", access="{kind: ssh, via: nux}")
    assert said.endswith(
        'hosts.box.access.via: found "nux", expected another host of the inventory (nuc); did you'
        ' mean "nuc"?'
    )


def test_a_host_is_defined_with_the_one_that_it_is_reached_through(tmp_path: Path) -> None:
    via = source(tmp_path, "none", access="{kind: ssh, via: nuc}").read().slices["box"].host.via
    assert via is not None
    assert (via.host, via.access.kind) == ("nuc", "ssh")
