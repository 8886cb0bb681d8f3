from __future__ import annotations

import re
from typing import Any

import pytest
from pydantic import ValidationError

from reconciler.drivers.access import ssh
from reconciler.model.inventory import Inventory, Model
from reconciler.model.problem import found, nearest, one_of
from reconciler.model.quantity import parse_bytes, parse_memory, parse_seconds
from reconciler.model.spec import Kind


def inventory(**written: Any) -> Inventory:
    return Inventory.model_validate({"version": 1, "models": {}, **written})


def model(**written: Any) -> Model:
    return Model.model_validate({"engine": "fake", **written})


def test_without_hosts_there_is_this_machine() -> None:
    assert inventory().only_host == "local"
    assert inventory().host_name_of(model()) == "local"


def test_the_only_host_has_every_model() -> None:
    assert inventory(hosts={"box": None}).host_name_of(model()) == "box"


def test_among_several_hosts_a_model_is_where_it_says() -> None:
    several = inventory(hosts={"a": {}, "b": {}})
    assert (several.host_name_of(model()), several.host_name_of(model(host="b"))) == (None, "b")


def test_a_string_stands_for_a_kind() -> None:
    assert model(engine="vllm").engine == model(engine={"kind": "vllm"}).engine == Kind(kind="vllm")


def test_what_stands_beside_kind_are_its_options() -> None:
    assert model(engine={"kind": "x", "a": [1]}).engine == Kind(kind="x", options={"a": [1]})


def test_defaults_are_those_of_the_documentation() -> None:
    plain = model()
    assert (plain.launcher.kind, plain.port, plain.task, plain.conversations) == (
        "process",
        8080,
        "chat",
        "keep",
    )
    assert (plain.stable_for, plain.vram, plain.serves, plain.gpus) == (10.0, None, None, ())


@pytest.mark.parametrize(
    "written",
    [
        {"engine": None},
        {"engine": {"context": 1}},
        {"engine": {"kind": 3}},
        {"port": "8080.0"},
        {"port": 8080.0},
        {"port": True},
        {"port": 0},
        {"port": 65536},
        {"gpus": [-1]},
        {"task": "chatting"},
        {"vram": "44 G"},
        {"surprise": 1},
    ],
)
def test_a_model_that_cannot_be_meant_is_refused(written: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        model(**written)


def test_an_empty_hosts_mapping_is_refused() -> None:
    with pytest.raises(ValidationError):
        inventory(hosts={})


def test_power_is_one_driver_for_all_or_one_for_each_of_its_roles() -> None:
    def power(written: object) -> Any:
        return inventory(hosts={"a": {"power": written}}).hosts["a"].power

    wol = Kind(kind="wol", options={"mac": "aa"})
    assert power({"kind": "wol", "mac": "aa"}) == wol
    apart = power({"wake": {"kind": "wol", "mac": "aa"}, "proof": "plug"})
    assert (apart.wake, apart.stop, apart.proof, apart.force) == (
        (wol,),
        None,
        Kind(kind="plug"),
        None,
    )
    assert power({"wake": [{"kind": "wol", "mac": "aa"}, "ipmi"]}).wake == (wol, Kind(kind="ipmi"))
    for wrong in ({"awake": "wol"}, {"wake": "wol", "stopp": "access"}, {"wake": [1]}, 7):
        with pytest.raises(ValidationError):
            power(wrong)


@pytest.mark.parametrize(
    ("written", "size"),
    [
        (7, 7),
        (0, 0),
        ("44 GiB", 44 * 2**30),
        ("1.5gib", 3 * 2**29),
        ("500 MB", 500_000_000),
        (" 2 KiB ", 2048),
        ("9B", 9),
    ],
)
def test_sizes_are_bytes(written: object, size: int) -> None:
    assert parse_bytes(written) == size


@pytest.mark.parametrize(
    "written",
    ["GiB", "44 GB/s", -1, True, 1.5, None, "44 parsec", "1e3 GB", 2**70, "9" * 15 + "TiB"],
)
def test_a_size_without_meaning_is_refused(written: object) -> None:
    with pytest.raises(Exception, match="44 GiB"):
        parse_bytes(written)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (8, 'write "8 GiB"$'),
        ("24", 'write "24 GiB"$'),
        (24576, 'write "24576 MiB"$'),
        ("8 KiB", "at least 1 MiB$"),
    ],
)
def test_memory_that_forgot_its_unit_is_refused(written: object, meant: str) -> None:
    with pytest.raises(Exception, match=meant):
        parse_memory(written)


def test_memory_is_bytes_and_may_be_none_at_all() -> None:
    assert [parse_memory(written) for written in (0, "1 MiB", 8 * 2**30)] == [0, 2**20, 2**33]


@pytest.mark.parametrize(
    ("written", "seconds"),
    [(3, 3.0), (0.5, 0.5), ("10s", 10.0), ("2m", 120.0), ("1.5 h", 5400.0), ("250ms", 0.25)],
)
def test_durations_are_seconds(written: object, seconds: float) -> None:
    assert parse_seconds(written) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "written", ["soon", -1, False, None, float("inf"), float("nan"), "-3s", []]
)
def test_a_duration_without_meaning_is_refused(written: object) -> None:
    with pytest.raises(Exception, match="10s"):
        parse_seconds(written)


@pytest.mark.parametrize(
    ("value", "phrase"),
    [
        (None, "nothing"),
        ({}, "a mapping"),
        ([1], "a list"),
        ("x", '"x"'),
        (True, "true"),
        (1.5, "1.5"),
    ],
)
def test_what_was_found_reads_like_yaml(value: object, phrase: str) -> None:
    assert found(value) == phrase


def test_what_was_found_fits_on_a_line() -> None:
    assert len(found("x" * 1000)) == 60


def test_choices_read_as_a_phrase() -> None:
    assert [one_of([]), one_of("a"), one_of("ba"), one_of("cab")] == [
        "nothing",
        "a",
        "a or b",
        "a, b or c",
    ]


def test_only_a_near_name_is_suggested() -> None:
    assert (nearest("qwen3-codr", ["qwen3-coder", "x"]), nearest("zzz", ["x"])) == (
        '; did you mean "qwen3-coder"?',
        "",
    )
    assert nearest("LLAMACPP", ["llamacpp", "embedded"]) == '; did you mean "llamacpp"?'
    assert nearest("held", ["Held", "heal"]) == '; did you mean "Held"?'


@pytest.mark.parametrize(
    ("key", "value", "found"),
    [
        (
            "address",
            "-oProxyCommand=x",
            "a name or an address, such as gpu-box.lan, without a user or a port",
        ),
        (
            "address",
            "llm@gpu-box.lan",
            "a name or an address, such as gpu-box.lan, without a user or a port",
        ),
        ("user", "-l", "the name of a user, such as llm"),
        ("config", "~/.ssh/other", "a path that begins with /; ~ is not expanded here"),
        ("directory", "host", "a path that begins with / or ~"),
    ],
)
def test_words_of_an_ssh_command_line_are_refused_in_words(
    key: str, value: str, found: str
) -> None:
    with pytest.raises(ValidationError, match=re.escape(f'found "{value}", expected {found}')):
        ssh.Options.model_validate({key: value})


def test_a_gateway_is_reached_where_and_as_it_says() -> None:
    assert inventory(gateway=None).gateway.listen == "127.0.0.1:8400"
    written = {"listen": "[::]:80", "names": "LLM.home", "origins": ["https://Chat.home:8443"]}
    gateway = inventory(gateway=written).gateway
    assert (gateway.listen, gateway.names) == ("[::]:80", ("llm.home",))
    assert gateway.origins == ("https://chat.home:8443",)
    for origin in ("app://obsidian.md", "chrome-extension://abcd", "http://[::1]:3000"):
        assert inventory(gateway={"origins": origin}).gateway.origins == (origin,)
    assert gateway.limits == inventory(gateway={"limits": None}).gateway.limits
    assert inventory(gateway={"limits": {"body": "64 MiB"}}).gateway.limits.body == 64 * 1024**2


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ({"listen": "8400"}, "HOST:PORT"),
        ({"listen": "0.0.0.0:65536"}, "HOST:PORT"),
        ({"listen": 8400}, "HOST:PORT"),
        ({"names": "https://llm.home"}, "without a port"),
        ({"names": ["llm.home:8400"]}, "without a port"),
        ({"names": [1]}, "without a port"),
        ({"origins": "chat.home"}, "such as https://chat.home"),
        ({"origins": ["https://chat.home/"]}, "such as https://chat.home"),
        ({"origins": ["null"]}, "such as https://chat.home"),
        ({"origins": ["*"]}, "such as https://chat.home"),
        ({"origins": [1]}, "such as https://chat.home"),
        ({"limits": {"body": 64}}, 'a size from 1 MiB to 256 MiB with its unit, such as "64 MiB"'),
        ({"limits": {"body": "0 MiB"}}, "a size from 1 MiB"),
        ({"limits": {"body": "1 GiB"}}, "a size from 1 MiB to 256 MiB"),
    ],
)
def test_a_gateway_that_cannot_be_meant_is_said(written: dict[str, Any], expected: str) -> None:
    with pytest.raises(ValidationError, match=expected):
        inventory(gateway=written)
