from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from reconciler.model.desired import Desired, HostWish


def desired(**written: Any) -> Desired:
    return Desired.model_validate({"version": 1, **written})


@pytest.mark.parametrize("word", ["on", "On", "ON", True, "yes", "true"])
def test_every_yaml_1_1_word_for_true_means_on(word: object) -> None:
    assert desired(power=word).power == "on"


@pytest.mark.parametrize("word", ["off", "Off", False, "no", "false"])
def test_every_yaml_1_1_word_for_false_means_off(word: object) -> None:
    assert desired(power=word).power == "off"


def test_absent_keys_are_not_managed() -> None:
    assert (desired().power, desired().active, desired().apply_from) == (None, None, "saved")


@pytest.mark.parametrize(("written", "names"), [("a", ("a",)), (["b", "a"], ("b", "a")), ([], ())])
def test_active_is_a_name_or_a_list(written: object, names: tuple[str, ...]) -> None:
    assert desired(active=written).active == names


@pytest.mark.parametrize(
    "written",
    [
        {"power": None},
        {"power": "up"},
        {"power": 1},
        {"active": None},
        {"active": 3},
        {"active": ["a", "a"]},
        {"active": ["A b"]},
        {"enforce": "yes"},
        {"allow": None},
        {"allow": 3},
        {"allow": ["A b"]},
        {"return_after": "always"},
        {"return_after": "8d"},
        {"return_after": "200h"},
        {"min_residency": "2h"},
        {"max_wait": "0s"},
        {"apply_from": "anywhere"},
        {"version": True},
        {"hosts": {"x": {"version": 1}}},
    ],
)
def test_other_values_are_refused(written: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        desired(**written)


def test_what_requests_may_do_is_any_a_name_or_a_list_with_durations() -> None:
    assert [desired(allow=one).allow for one in ("any", "a", ["a"], [])] == [
        "any",
        ("a",),
        ("a",),
        (),
    ]
    told = desired(return_after="never", min_residency="0s", max_wait="1m")
    assert (told.return_after, told.min_residency, told.max_wait) == ("never", 0.0, 60.0)
    assert desired(return_after="90s").return_after == 90.0


def test_a_host_without_keys_is_named_and_not_managed() -> None:
    assert desired(hosts={"x": None}).wishes(None) == {"x": HostWish()}


def test_the_top_level_speaks_of_the_only_host() -> None:
    top = desired(active=[])
    assert top.wishes("local") == {"local": top}


@pytest.mark.parametrize("only_host", ["local", None])
def test_a_top_level_without_wishes_names_no_host(only_host: str | None) -> None:
    assert desired(enforce=True).wishes(only_host) == {}
