"""Whose a claim is: an id alone does not tell."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.core.ownership import Ownership
from reconciler.core.recovery import REMEMBERED_BOOTS, fold
from reconciler.model.controller import Controller
from reconciler.model.facts import Claim
from reconciler.model.records import Claimed, Instant, Row

HERE = Controller(id="1d", name="nas", directory="/data", former="0ld")
OURS = Ownership(HERE, {"this boot", "the boot before"})


def claim(**changed: Any) -> Claim:
    return Claim(
        **{
            "controller": "1d",
            "name": "nas",
            "directory": "/data",
            "boot": "this boot",
            "at": 1.0,
            **changed,
        }
    )


def judged(**changed: Any) -> str:
    return OURS.objection("tower", claim(**changed))


@pytest.mark.parametrize(
    "ours",
    [
        {},
        {"boot": "the boot before"},
        {"at": 9.0},
        {"boot": "", "controller": "0ld"},
        {"boot": "", "controller": "1d"},
    ],
)
def test_a_claim_of_this_or_an_earlier_boot_or_an_earlier_version_is_ours(
    ours: dict[str, Any],
) -> None:
    assert judged(**ours) == ""
    assert OURS.objection("tower", None) == ""


@pytest.mark.parametrize(
    ("theirs", "says"),
    [
        ({"controller": "2e", "name": "den"}, "; act from den, or stop that controller"),
        (
            {"controller": "2e", "directory": "/other"},
            "; name that directory with --data, or stop that controller",
        ),
        ({"controller": "2e"}, "like this one, but under another id"),
        ({"controller": "2e", "boot": ""}, "like this one, but under another id"),
        ({"name": "den"}, "one is a copy of the other, or was moved or renamed"),
        ({"directory": "/copy"}, "one is a copy of the other, or was moved or renamed"),
        (
            {"boot": "", "controller": "0ld", "name": "den"},
            "; act from den, or stop that controller",
        ),
        ({"boot": "a boot of the copy"}, "in a boot that this journal does not know"),
        ({"controller": "0ld"}, "like this one, but under another id"),
    ],
)
def test_a_difference_in_id_name_directory_or_an_unknown_boot_is_another_controller(
    theirs: dict[str, Any], says: str
) -> None:
    found = judged(**theirs)
    seen = claim(**theirs)
    assert found.startswith(
        f"host tower is claimed by {seen.name} (data directory {seen.directory})"
    )
    assert says in found
    assert "`reconciler apply --take-over`" in found


def test_two_machines_without_a_machine_id_were_one_and_are_two_now() -> None:
    """Versions up to 0.1 gave both one id: the digest of an empty machine id and the same path."""
    old = Claim(controller="0ld", name="da", directory="/data", at=1.0)
    one, other = (
        Ownership(HERE.model_copy(update={"name": name, "id": name}), {"boot"})
        for name in ("da", "db")
    )
    assert one.objection("tower", old) == ""
    assert "claimed by da" in other.objection("tower", old)


def test_a_claim_is_not_free_because_its_id_is_not_known() -> None:
    assert (
        Ownership(HERE.model_copy(update={"former": ""}), ()).objection(
            "tower", claim(controller="", boot="")
        )
        != ""
    )


def test_the_boots_in_which_a_host_was_claimed_are_remembered_but_not_without_end() -> None:
    record = Claimed(host="tower", controller="1d", name="nas", directory="/data")
    boots = [f"boot {number}" for number in range(REMEMBERED_BOOTS + 3)]
    rows = [
        Row(seq=seq, when=Instant(at=0.0, boot_id=boot, boot=0.0), record=record)
        for seq, boot in enumerate([*boots, boots[-1]])
    ]
    assert fold(rows)["tower"].boots == tuple(boots[3:])
