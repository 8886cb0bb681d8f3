"""Setting one word of a YAML file changes that word and no other byte."""

from __future__ import annotations

import pytest

from reconciler.config.yaml_edit import put
from reconciler.config.yaml_positions import parse
from reconciler.errors import ConfigError

TOP, TOWER = ("active",), ("hosts", "tower", "active")

EDITS = {
    "a word": (
        TOP,
        "version: 1\nactive:   a  # the daily one\n# end\n",
        "version: 1\nactive:   new  # the daily one\n# end\n",
    ),
    "its quotes": (TOP, "active: 'a'\nversion: 1\n", "active: 'new'\nversion: 1\n"),
    "double quotes": (TOP, 'active: "a"\n', 'active: "new"\n'),
    "line ends of windows": (TOP, "version: 1\r\nactive: a\r\n", "version: 1\r\nactive: new\r\n"),
    "a mark at the beginning": (
        TOP,
        "\ufeffversion: 1\nactive: a\n",
        "\ufeffversion: 1\nactive: new\n",
    ),
    "a list in brackets": (TOP, "active: [ a, b ]  # both\n", "active: [ new ]  # both\n"),
    "a list of lines": (
        TOP,
        "active:\n  - a  # one\nversion: 1\n",
        "active:\n  - new  # one\nversion: 1\n",
    ),
    "an empty list": (TOP, "active: []\n", "active: new\n"),
    "a key that is not there": (TOP, "# mine\nversion: 1\n", "# mine\nversion: 1\nactive: new\n"),
    "a last line without an end": (TOP, "version: 1", "version: 1\nactive: new\n"),
    "a new key in a file of windows": (
        TOP,
        "version: 1\r\npower: on\r\n",
        "version: 1\r\npower: on\r\nactive: new\r\n",
    ),
    "a text of many lines above": (
        TOP,
        "description: |\n  x\n",
        "description: |\n  x\nactive: new\n",
    ),
    "a host in braces": (
        TOWER,
        "hosts:\n  tower: {power: on, active: a}\n",
        "hosts:\n  tower: {power: on, active: new}\n",
    ),
    "a host in braces without the key": (
        TOWER,
        "hosts: {tower: {power: on}}\n",
        "hosts: {tower: {power: on, active: new}}\n",
    ),
    "a host in empty braces": (TOWER, "hosts: {tower: {}}\n", "hosts: {tower: {active: new}}\n"),
    "a host of lines without the key": (
        TOWER,
        "hosts:\n  # big\n  tower:\n    power: on  # x\n  nuc: {}\n",
        "hosts:\n  # big\n  tower:\n    power: on  # x\n    active: new\n  nuc: {}\n",
    ),
    "a host that says nothing": (
        TOWER,
        "hosts:\n  tower:\n  nuc:\n",
        "hosts:\n  tower: {active: new}\n  nuc:\n",
    ),
    "an active that says nothing": (TOP, "active:\nversion: 1\n", "active: new\nversion: 1\n"),
    "a host that is not there": (
        TOWER,
        "hosts:\n  # small\n  nuc: {active: a}\n\n# end\n",
        "hosts:\n  # small\n  nuc: {active: a}\n  tower: {active: new}\n\n# end\n",
    ),
    "a key below one that says nothing at the end": (
        TOWER,
        "hosts:\n  tower: ~\n",
        "hosts:\n  tower:  {active: new}\n",
    ),
    "a mapping of lines above": (
        TOP,
        "hosts:\n  nuc:\n    power: on\n",
        "hosts:\n  nuc:\n    power: on\nactive: new\n",
    ),
    "a name that stands elsewhere": (
        TOP,
        "x-a: &daily a\nactive: *daily  # x\n",
        "x-a: &daily a\nactive: new  # x\n",
    ),
    "a name in a list that stands elsewhere": (
        TOP,
        "x-a: &daily a\nactive: [*daily]\n",
        "x-a: &daily a\nactive: [new]\n",
    ),
    "an anchor that nobody uses": (TOP, "active: &daily a\n", "active: new\n"),
    "a host that merges": (
        TOWER,
        "x-on: &on {power: on, active: a}\nhosts:\n  tower: {<<: *on}\n",
        "x-on: &on {power: on, active: a}\nhosts:\n  tower: {<<: *on, active: new}\n",
    ),
    "no hosts at all": (TOWER, "version: 1\n", "version: 1\nhosts: {tower: {active: new}}\n"),
}


@pytest.mark.parametrize(("path", "before", "after"), EDITS.values(), ids=EDITS)
def test_only_the_word_is_replaced_and_what_is_missing_is_added(
    path: tuple[str, ...], before: str, after: str
) -> None:
    assert put(before.encode(), path, "new").decode() == after


@pytest.mark.parametrize("word", ["1", "1.5", "true", "null", "0x1f", "on"])
def test_a_name_that_yaml_would_take_for_something_else_stays_a_name(word: str) -> None:
    assert parse(put(b"active: a\n", TOP, word)).value == {"active": word}


@pytest.mark.parametrize("text", ["active: &m a\nx: *m\n", "a: {b: &m [c]}\nactive: *m\n"])
def test_a_file_in_which_the_word_stands_for_something_else_too_is_left_to_a_person(
    text: str,
) -> None:
    with pytest.raises(ConfigError, match="write active: new into it yourself"):
        put(text.encode(), TOP, "new")
