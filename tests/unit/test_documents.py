"""`plan -o json` and `status -o json` are what the schemas say, in every golden situation."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from reconciler.core.projection import host_status
from reconciler.model.status import Status
from reconciler.render.json import plan_document
from tests.casefile import FOLDER, read
from tests.casework import looked
from tests.jsonschema import unfit
from tests.sample_worlds import whole

SCHEMAS = Path(__file__).parents[2] / "schemas"
CASES = sorted(FOLDER.glob("*.yaml"))


def schema(name: str) -> Any:
    return json.loads((SCHEMAS / f"{name}.schema.json").read_text(encoding="utf-8"))


def plan_of(path: Path) -> Any:
    return json.loads(
        json.dumps(plan_document(whole(looked(read(path)).plan)).model_dump(mode="json"))
    )


def status_of(path: Path) -> Any:
    seen = looked(read(path))
    status = Status(hosts=(host_status(seen.slice, seen.observed, seen.hints, seen.plan),))
    return json.loads(status.model_dump_json())


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_plan_and_status_of_every_case_fit_their_schemas(path: Path) -> None:
    assert list(unfit(plan_of(path), schema("plan"))) == []
    assert list(unfit(status_of(path), schema("status"))) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"version": 2}, ["$.version: is 2"]),
        ({"version": True}, ["$.version: is no integer"]),
        ({"hosts": None}, ["$.hosts: is no array"]),
        ({"more": 1}, ["$: has more"]),
        ({"evidence": {"hosts": []}}, ["$.evidence: has no provenance"]),
    ],
    ids=["another version", "not a number", "nothing", "another key", "a key less"],
)
def test_a_document_that_is_something_else_does_not_fit(
    change: dict[str, Any], said: list[str]
) -> None:
    document = plan_of(FOLDER / "switch.yaml")
    assert list(unfit({**document, **change}, schema("plan"))) == said


def test_a_digest_and_a_choice_are_held_to_what_they_may_say() -> None:
    document = plan_of(FOLDER / "switch.yaml")
    document["hosts"][0] |= {"mode": "sideways", "digest": "x"}
    assert sorted(unfit(document, schema("plan"))) == [
        "$.hosts[0].digest: is 'x'",
        "$.hosts[0].mode: is 'sideways'",
    ]
    document["hosts"][0] = plan_of(FOLDER / "switch.yaml")["hosts"][0]
    document["evidence"]["hosts"][0]["seconds"] = "long"
    assert list(unfit(document, schema("plan"))) == [
        "$.evidence.hosts[0].seconds: fits none of several"
    ]


def test_a_word_that_is_not_checked_fits_nothing() -> None:
    assert list(unfit(1, {"maximum": 3})) == ["$: the schema says maximum"]
