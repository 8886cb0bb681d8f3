"""What is asked of ssh beyond its user's configuration, and what is heard in what it says."""

from __future__ import annotations

import ast
import subprocess
import sys
import time
from types import SimpleNamespace

import anyio
import pytest

from reconciler.edge import ssh
from reconciler.edge.ssh import Connection, Program, Way
from reconciler.edge.ssh_complaint import complaint
from reconciler.edge.ssh_destination import Destination
from reconciler.edge.ssh_settings import NEWER, newer
from reconciler.onhost import bundle

OLD = {"hostname": "box.lan", "port": "22"}
KNOWS = {
    **OLD,
    "stdinnull": "no",
    "sessiontype": "default",
    "forkafterauthentication": "no",
    "channeltimeout": "none",
}
"""What the clients of 8.4 and of 9.6 say of themselves."""


def test_a_client_is_given_only_settings_that_it_knows_and_has_otherwise() -> None:
    assert newer(OLD) == newer(KNOWS) == []
    assert newer({**KNOWS, "stdinnull": "yes", "sessiontype": "none"}) == [
        "stdinnull=no",
        "sessiontype=default",
    ]
    assert newer(dict.fromkeys(NEWER, "yes")) == [
        f"{name}={value}" for name, value in NEWER.items()
    ]


async def nothing() -> dict[str, str]:
    return {}


def connection(failures: int = 0) -> Connection:
    way = Way(nothing, anyio.CapacityLimiter(1))
    return Connection(Destination("box", "box.lan", "llm"), Program("", b"", b""), way, failures)


@pytest.mark.parametrize("failures", [0, 1, 7, 1024, 100_000])
def test_a_host_is_tried_again_however_often_it_could_not_be_reached(
    failures: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed = connection(failures)
    failed._ended_at = time.monotonic()
    monkeypatch.setattr(ssh, "time", SimpleNamespace(monotonic=lambda: failed._ended_at + 5.1))
    assert failed.is_over


@pytest.mark.parametrize(
    ("words", "remedy"),
    [
        (
            "Permission denied for your mood today\nbash: line 1: exec: python3: not found",
            "it needs python3, 3.9 or later",
        ),
        ("see python3.org\nllm@box: Permission denied (publickey).", "`ssh-copy-id llm@box.lan`"),
        (
            "@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @\nHost key verification failed.",
            "another one than before",
        ),
        ("Host key verification failed.", "not known yet"),
        (
            "fish: Unknown command: python3\nfish:\nexec python3 -I\n     ^~~~^",
            "it needs python3, 3.9 or later",
        ),
        ("python3 there is 3.6 (/usr/bin/python3)", "it needs python3, 3.9 or later"),
    ],
)
def test_the_remedy_is_that_of_what_ended_it(words: str, remedy: str) -> None:
    assert remedy in connection()._said(words).fix


def test_what_is_unknown_is_said_as_it_is() -> None:
    assert (
        connection()._said("kex_exchange: banner line contains invalid characters")
        == "box (`ssh llm@box.lan`) cannot be reached over ssh: kex_exchange: banner line contains"
        " invalid characters"
    )
    late = "box (`ssh llm@box.lan`) cannot be reached over ssh: no answer in 15 s"
    assert connection()._said("") == late


def test_the_address_that_was_tried_is_said_once() -> None:
    refused = "ssh: connect to host box.lan port 22: Connection refused"
    assert connection()._said(refused) == f"box cannot be reached over ssh: {refused}"
    alias = complaint(Destination("box", "box"), "", "no answer")
    assert alias == "box cannot be reached over ssh: no answer"


@pytest.mark.parametrize("version", ["(3, 4, 10)", "(3, 6, 15)", "(3, 8, 18)"])
def test_a_python_that_is_too_old_says_so_before_it_reads_the_program(version: str) -> None:
    old = f"import sys; sys.version_info = {version}; {bundle.BOOTSTRAP}"
    done = subprocess.run(
        [sys.executable, "-I", "-c", old], input=b"", capture_output=True, check=False
    )
    assert done.returncode == 1
    assert (
        done.stderr.decode().strip()
        == f"python3 there is 3.{version.split(', ')[1]} ({sys.executable})"
    )


def test_the_first_words_are_read_by_every_python_of_the_last_years() -> None:
    ast.parse(bundle.BOOTSTRAP, feature_version=(3, 6))
    assert "'" not in bundle.BOOTSTRAP, "every login shell reads what needs no quotes within quotes"
