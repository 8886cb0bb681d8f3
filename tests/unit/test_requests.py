"""Requests of a host: each is served by one line, and knows for how long its answer is waited."""

from __future__ import annotations

import importlib
import pkgutil
from typing import TYPE_CHECKING

import pytest
from pydantic import JsonValue

from reconciler.model import onhost
from reconciler.model.facts import Claim, Known, UnitIdentity, Unknown
from reconciler.model.onhost import (
    ACT_SECONDS,
    ASK_SECONDS,
    POWER_SECONDS,
    READ_SECONDS,
    Action,
    Question,
)
from reconciler.model.onhost.answers import understood
from reconciler.model.onhost.compose import (
    AskComposeServices,
    GivenComposeService,
    StopComposeService,
)
from reconciler.model.onhost.containers import StopContainer
from reconciler.model.onhost.files import AskFingerprint, PrefetchFile
from reconciler.model.onhost.host import AskNvidia, PrepareHost, WriteClaim
from reconciler.model.onhost.lxc import AskLxc, GivenLxc
from reconciler.model.onhost.ports import AskPage
from reconciler.model.onhost.power import SendDown, WakeOther
from reconciler.model.onhost.processes import AskUnits, Run, StopProcess
from reconciler.model.onhost.services import StopService
from reconciler.model.preparation import Preparation, Prepared
from reconciler.onhost import serve

if TYPE_CHECKING:
    from pathlib import Path

    from reconciler.model.facts import Fact

FAMILIES = [
    importlib.import_module(f"{onhost.__name__}.{one.name}")
    for one in pkgutil.iter_modules(onhost.__path__)
]
REQUESTS = [
    one
    for family in FAMILIES
    for one in vars(family).values()
    if isinstance(one, type)
    and issubclass(one, Question | Action)
    and one.__module__ == family.__name__
]
WORDS = {str(one.model_fields["do"].default) for one in REQUESTS}
BESIDE = {"each", "exit"}
"""What no class stands for: many requests in one, and the wait of the process launcher's tests."""

WEB = GivenComposeService(project="llm", service="web", file="", socket="")
WHO = UnitIdentity(pid=1, start=1, inode=1, boot_id="b")
MADE = Preparation(run=(("true",),))


def test_each_request_has_its_line() -> None:
    assert set(serve._KINDS) - BESIDE == WORDS


def test_a_service_of_a_compose_project_is_named_with_its_project() -> None:
    assert WEB.name == "web of project llm"


def test_each_line_names_what_is_there() -> None:
    lines = [one for one in serve._KINDS.values() if isinstance(one, serve._Later)]
    assert len(lines) > len(WORDS) / 2
    assert all(callable(getattr(serve._load(one.module), one.name)) for one in lines)


def test_a_request_of_another_version_is_refused_with_a_sentence(tmp_path: Path) -> None:
    answer = serve.answer({"do": "dance"}, str(tmp_path))
    assert answer["error"].startswith("this host knows no request 'dance'; ")


@pytest.mark.parametrize(
    ("request_", "seconds"),
    [
        (AskUnits(), ASK_SECONDS),
        (AskPage(port=1, path="/", pids=(), seconds=3.0, limit=9), 3.0 + ASK_SECONDS),
        (Run(argv=("true",), seconds=5.0), 5.0 + ASK_SECONDS),
        (SendDown(way="off"), POWER_SECONDS),
        (WakeOther(mac="aa:bb:cc:dd:ee:01"), POWER_SECONDS),
        (StopProcess(identity=WHO, grace=3.0, again=5.0, kill=7.0), 15.0 + ASK_SECONDS),
        (
            StopService(name="a.service", scope="user", identity=WHO, grace=3.0, kill=7.0),
            10.0 + READ_SECONDS,
        ),
        (
            StopContainer(name="a", socket="/s", identity=WHO, grace=3.0, kill=7.0),
            3.0 + 3 * 7.0 + READ_SECONDS,
        ),
        (AskComposeServices(services=(WEB,)), READ_SECONDS),
        (AskLxc(containers=(GivenLxc(name="a", keeper="lxc"),)), READ_SECONDS),
        (
            StopComposeService(**WEB.model_dump(), identity=WHO, grace=3.0, kill=7.0),
            3.0 + 3 * 7.0 + READ_SECONDS,
        ),
        (AskFingerprint(weights=(), programs=(), flags=()), READ_SECONDS),
        (PrefetchFile(path="/w"), READ_SECONDS),
        (AskNvidia(), READ_SECONDS),
        (PrepareHost(preparation=MADE, digest=""), MADE.seconds + ASK_SECONDS),
        (WriteClaim(claim=Claim(controller="c", name="n", directory="/d", at=0.0)), ACT_SECONDS),
    ],
    ids=lambda value: getattr(value, "do", None),
)
def test_an_answer_is_waited_for_longer_than_its_own_limit(
    request_: Question | Action, seconds: float
) -> None:
    assert request_.patience == seconds


@pytest.mark.parametrize(
    ("answer", "fact"),
    [
        (Unknown("gone"), Unknown("gone")),
        (Known({"digest": "7"}), Known(Prepared(digest="7"))),
        (Known({"digest": [7]}), Unknown("the x cannot be understood: 1 of its fields are wrong")),
    ],
)
def test_an_answer_that_cannot_be_read_is_not_known(
    answer: Fact[dict[str, JsonValue]], fact: Fact[Prepared]
) -> None:
    assert understood(answer, Prepared.model_validate, "the x") == fact


def test_an_answer_without_a_field_says_which() -> None:
    def read(said: dict[str, JsonValue]) -> JsonValue:
        return said["units"]

    said = understood(Known({}), read, "the list of units")
    assert said == Unknown("the list of units cannot be understood: it has no 'units'")
