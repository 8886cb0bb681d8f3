from __future__ import annotations

import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.config.source import FileSource
from reconciler.config.yaml_positions import parse
from reconciler.core.canonical import digest
from reconciler.errors import ConfigError
from reconciler.fakes.catalog import FakeCatalog
from reconciler.model.desired import Desired
from reconciler.model.inventory import Inventory
from reconciler.model.spec import Slice
from tests.pairs import DESIRED, INVENTORY

WORDS = st.sampled_from(
    [
        "version", "hosts", "models", "power", "active", "engine", "kind", "fake", "strict", "a",
        "on", "1", "~", "local", "<<", ": ", "- ", "\n", "  ", "[", "]", "{", "}", ", ", "&a ",
        "*a ", "!t ", "'", '"', "\\", "# ", "|", ">", "? ", "\t", "%",
    ]
)  # fmt: skip
ALMOST_YAML = st.lists(WORDS, max_size=30).map("".join)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(["fake", "a", "10s"])
)
KEYS = st.text(max_size=5) | st.sampled_from(
    [
        *Desired.model_fields,
        *Inventory.model_fields,
        "engine",
        "kind",
        "port",
        "a",
        "host",
        "access",
        "engines",
        "fake",
    ]
)
TREES = st.recursive(
    SCALARS,
    lambda part: st.lists(part, max_size=3) | st.dictionaries(KEYS, part, max_size=4),
    max_leaves=12,
)

QUICK = settings(deadline=None, max_examples=60)
"""Every example may ask git."""


def read(desired: bytes, inventory: bytes) -> dict[str, Slice]:
    with tempfile.TemporaryDirectory() as directory:
        Path(directory, "desired.yaml").write_bytes(desired)
        Path(directory, "inventory.yaml").write_bytes(inventory)
        return FileSource(Path(directory), FakeCatalog()).read().slices


@QUICK
@given(st.binary(max_size=200) | ALMOST_YAML.map(str.encode))
def test_any_bytes_are_read_or_refused(content: bytes) -> None:
    with suppress(ConfigError):
        read(DESIRED.encode(), content)
    with suppress(ConfigError):
        read(content, INVENTORY.encode())


@QUICK
@given(TREES, TREES)
def test_any_values_are_read_or_refused(desired: Any, inventory: Any) -> None:
    beside = {"version": 1, "models": {"a": {"engine": "fake"}}}
    with suppress(ConfigError):
        read(
            written(desired),
            written({**beside, **inventory} if isinstance(inventory, dict) else inventory),
        )


@QUICK
@given(TREES)
def test_what_is_written_is_what_is_read(value: Any) -> None:
    document = parse(written(value))
    if not document.flaws:
        assert repr(document.value) == repr(plain(value))


def plain(value: Any) -> Any:
    """Return a value as JSON can hold it: what is no finite number is a word."""
    if isinstance(value, list):
        return [plain(part) for part in value]
    if isinstance(value, dict):
        return {key: plain(part) for key, part in value.items()}
    return value if not isinstance(value, float) or abs(value) < float("inf") else scalar(value)


def written(value: Any) -> bytes:
    return flow(value).encode("utf-8", "surrogatepass")


def flow(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(flow, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{quoted(key)}: {flow(part)}' for key, part in value.items())}}}"
    return scalar(value)


def scalar(value: Any) -> str:
    if isinstance(value, str):
        return quoted(value)
    return "~" if value is None else str(value).lower()


def quoted(text: str) -> str:
    return '"' + "".join(f"\\U{ord(character):08x}" for character in text) + '"'


HOSTS: dict[str, Any] = {
    "box": {"access": "fake", "engines": {"fake": {"context": 5}}},
    "other": {"power": "fake"},
}
MODELS: dict[str, Any] = {
    "small": {
        "host": "box",
        "engine": {"kind": "fake", "args": ["-x"]},
        "port": 81,
        "vram": "1 GiB",
    },
    "large": {"host": "box", "engine": {"kind": "strict", "weights": "/w"}, "stable_for": "2m"},
    "far": {"host": "other", "engine": "fake"},
}
WISH: dict[str, Any] = {
    "version": 1,
    "hosts": {"box": {"active": ["small"]}, "other": {"power": "on", "active": []}},
}


def digests(desired: dict[str, Any], inventory: dict[str, Any]) -> dict[str, str]:
    return {
        name: digest(slice_) for name, slice_ in read(written(desired), written(inventory)).items()
    }


def changed(tree: Any, path: tuple[str, ...], value: Any) -> Any:
    return {**tree, path[0]: changed(tree.get(path[0], {}), path[1:], value)} if path else value


FILES = {"version": 1, "hosts": HOSTS, "models": MODELS}
BEFORE = digests(WISH, FILES)


def shuffled(tree: Any, order: Any) -> Any:
    if not isinstance(tree, dict):
        return tree
    keys = order.draw(st.permutations(sorted(tree)))
    return {key: shuffled(tree[key], order) for key in keys}


@QUICK
@given(st.data())
def test_key_order_moves_no_slice(order: Any) -> None:
    assert digests(shuffled(WISH, order), shuffled(FILES, order)) == BEFORE


@QUICK
@given(st.text(st.characters(codec="ascii", exclude_categories=["C"])))
def test_comments_move_no_slice(remark: str) -> None:
    lines = written(FILES).replace(b"], ", b"], # " + remark.encode() + b"\n ")
    slices = read(written(WISH) + b" # " + remark.encode(), lines)
    assert {name: digest(slice_) for name, slice_ in slices.items()} == BEFORE


@QUICK
@given(st.text(max_size=20).filter(lambda text: text.isprintable()))
def test_descriptions_move_no_slice(text: str) -> None:
    files = changed(
        changed(FILES, ("hosts", "box", "description"), text),
        ("models", "small", "description"),
        text,
    )
    wish = changed({**WISH, "description": text}, ("hosts", "box", "description"), text)
    assert digests(wish, {**files, "description": text}) == BEFORE


@QUICK
@given(st.integers(1, 65535), st.sampled_from([[], ["far"]]))
def test_what_concerns_another_host_moves_no_slice(port: int, active: list[str]) -> None:
    files = changed(FILES, ("models", "far", "port"), port)
    wish = changed(WISH, ("hosts", "other", "active"), active)
    assert digests(wish, files)["box"] == BEFORE["box"]


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("models", "small", "port"), 82),
        (("models", "small", "engine", "context"), 6),
        (("models", "small", "engine", "args"), ["-y"]),
        (("models", "small", "engine"), {"kind": "strict", "weights": "/w"}),
        (("hosts", "box", "engines", "fake", "context"), 6),
    ],
)
def test_what_reaches_the_command_moves_the_model_and_its_slice_alone(
    path: tuple[str, ...], value: Any
) -> None:
    before, after = (
        read(written(WISH), written(files))["box"] for files in (FILES, changed(FILES, path, value))
    )
    assert digest(after) != digest(before)
    moved = {
        model.name
        for model, old in zip(after.models, before.models, strict=True)
        if model.digest != old.digest
    }
    assert moved == {"small"}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("hosts", "box", "access"), "local"),
        (("hosts", "box", "power"), "fake"),
        (("hosts", "box", "gpu"), "fake"),
        (("models", "small", "launcher"), "fake"),
        (("models", "small", "vram"), "2 GiB"),
        (("models", "small", "serves"), "x"),
        (("models", "small", "stable_for"), 3),
        (("models", "small", "task"), "rerank"),
        (("models", "small", "conversations"), "drop"),
    ],
)
def test_what_does_not_reach_the_command_moves_the_slice_and_no_unit(
    path: tuple[str, ...], value: Any
) -> None:
    before, after = (
        read(written(WISH), written(files))["box"] for files in (FILES, changed(FILES, path, value))
    )
    assert digest(after) != digest(before)
    assert [model.digest for model in after.models] == [model.digest for model in before.models]
