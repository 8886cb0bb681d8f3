"""YAML becomes plain values that know their places; what is not plain is refused at its own."""

from __future__ import annotations

import pytest

from reconciler.config.yaml_builder import DEEPEST, MOST_VALUES
from reconciler.config.yaml_document import FilePosition
from reconciler.config.yaml_positions import parse
from reconciler.config.yaml_words import plain


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("on", "on"), ("off", "off"), ("no", "no"), ("true", True), ("False", False), ("~", None),
        ("", None), ("null", None), ("12", 12), ("-3", -3), ("0o17", 15), ("0x1f", 31), ("010", 10),
        ("1.5", 1.5), (".5", 0.5), ("1e3", 1000.0), ("1e999", "1e999"), (".inf", ".inf"),
        (".nan", ".nan"), ("1_000", "1_000"), ("12:30", "12:30"), ("9" * 40, int("9" * 40)),
        ("9" * 41, 1e41), ("2026-01-01", "2026-01-01"), ("<<", "<<"),
    ],
)  # fmt: skip
def test_plain_words_mean_what_yaml_1_2_says(word: str, value: object) -> None:
    assert plain(word) == value
    assert type(plain(word)) is type(value)


def test_quoted_words_stay_words() -> None:
    assert parse(b"""{a: "1", b: 'true', c: "~"}""").value == {"a": "1", "b": "true", "c": "~"}


def test_a_version_directive_changes_no_word() -> None:
    assert parse(b"%YAML 1.1\n---\npower: on\n").value == {"power": "on"}


def test_every_key_and_value_knows_its_place() -> None:
    document = parse(b"a:\n  b: [x, {c: 1}]\n")
    assert document.place(("a", "b", 1, "c")) == FilePosition(2, 14)
    assert document.place(("a", "b", 1, "c"), at_key=True) == FilePosition(2, 11)
    assert document.place(("a", "b", 0), at_key=True) == FilePosition(2, 7)
    assert document.place(("a", "b", 1, "missing"), at_key=True) == FilePosition(2, 10)
    assert document.place(("nowhere",), at_key=True) == FilePosition(1, 1)


@pytest.mark.parametrize(
    "content", [b"\xef\xbb\xbfa: 1", b"a: 1\r\n", b"a: 1\r\n# end", b"--- \na: 1\n...\n"]
)
def test_marks_and_line_ends_of_other_systems_are_fine(content: bytes) -> None:
    assert (parse(content).value, parse(content).flaws) == ({"a": 1}, [])


def test_aliases_stand_for_their_anchor() -> None:
    assert parse(b"{a: &x {k: [1]}, b: *x}").value == {"a": {"k": [1]}, "b": {"k": [1]}}


def test_what_an_alias_stands_for_is_where_it_is_written_and_the_alias_where_it_is_used() -> None:
    document = parse(b"a: &x\n  k: [1]\nb: *x\n")
    assert (document.place(("b",)), document.place(("b", "k", 0))) == (
        FilePosition(3, 4),
        FilePosition(2, 7),
    )
    assert document.place(("b", "k"), at_key=True) == FilePosition(2, 3)
    assert document.typed == {("a", "k", 0): "1", ("b", "k", 0): "1"}


MERGES = {
    "one mapping": ("x: &x {k: 1, l: 2}\na: {<<: *x, l: 3}", {"k": 1, "l": 3}),
    "what comes after it wins too": ("x: &x {k: 1}\na:\n  k: 2\n  <<: *x\n", {"k": 2}),
    "the first of several": (
        "x: &x {k: 1}\ny: &y {k: 2, l: 2}\na: {<<: [*x, *y]}",
        {"k": 1, "l": 2},
    ),
    "one that merges itself": ("x: &x {k: 1}\ny: &y {<<: *x, l: 2}\na: {<<: *y}", {"k": 1, "l": 2}),
    "mappings are not joined": ("x: &x {k: {a: 1}}\na: {<<: *x, k: {b: 2}}", {"k": {"b": 2}}),
    "one that is written there": ("a: {<<: {k: 1}}", {"k": 1}),
    "a word in quotes is a key": ('a: {"<<": 1}', {"<<": 1}),
}


@pytest.mark.parametrize(("text", "value"), MERGES.values(), ids=MERGES)
def test_merge_keys_bring_what_is_not_said_beside_them(text: str, value: object) -> None:
    document = parse(text.encode())
    assert isinstance(document.value, dict)
    assert (document.value["a"], document.flaws) == (value, [])


BOMB = b"a0: &a0 [x]\n" + b"".join(
    b"a%d: &a%d [%s]\n" % (n, n, b", ".join([b"*a%d" % (n - 1)] * 9)) for n in range(1, 10)
)
DEEP_BY_ALIASES = b"a0: &a0 [x]\n" + b"".join(
    b"a%d: &a%d [*a%d]\n" % (n, n, n - 1) for n in range(1, 30)
)
DEEP = b"[" * (DEEPEST + 2) + b"]" * (DEEPEST + 2)


@pytest.mark.parametrize(
    ("content", "place", "said"),
    [
        (b"", (1, 1), "the file is empty"),
        (b"# only a comment\n", (1, 1), "the file is empty"),
        ("a: 1".encode("utf-16"), (1, 1), "is UTF-16; save it as UTF-8"),
        (b"a: 1\nb: \xe9", (2, 4), "found the byte 0xe9, which is not UTF-8"),
        (b"a:\n \tb: 1", (2, 2), "found a tab"),
        (b"a: [1,\n\t2]", (2, 1), "found a tab"),
        (
            b"a: 1\n<<<<<<< HEAD\nb: 1\n=======\nb: 2\n>>>>>>> other\n",
            (2, 1),
            "found <<<<<<<, which git leaves",
        ),
        (b"a: 1\n=======\r\nb: 2\r\n", (2, 1), "found =======, which git leaves"),
        (b"a: 1\nb: \x07", (2, 4), "found the control character #x07"),
        (
            b"a: 1\nb: 'x",
            (2, 4),
            "this is not YAML: a text in quotes begins here and is never closed",
        ),
        (
            b"a: 1\nb: [x\n",
            (2, 4),
            "this is not YAML: a list or mapping begins here and is never closed",
        ),
        (
            b"a: 1\nb: {c: {d: x}\ne: 2\n",
            (2, 4),
            "this is not YAML: the mapping that begins here lacks a comma, or } at its end",
        ),
        (
            b"a: 1\nb: [x\nc: 2\n",
            (2, 4),
            "this is not YAML: the list that begins here lacks a comma, or ] at its end",
        ),
        (
            b"a: 1\nb:x\n",
            (2, 1),
            "this is not YAML: expected `key: value` here, with a space after the colon",
        ),
        (
            b"a: 1\n b: x\n",
            (2, 3),
            "this is not YAML: found `key:` where none can stand; check indentation and quotes",
        ),
        (
            b"a:\n  b: 1\n c: 2\n",
            (3, 2),
            "this is not YAML: this does not fit what stands around it; check indentation",
        ),
        (b"a: @x", (1, 4), "this is not YAML: found character '@'"),
        (b"%YAML 9.1\n---\na: 1", (1, 1), "this is not YAML: found incompatible YAML document"),
        (b"a: 1\n---\nb: 2", (2, 1), "found a second document"),
        (b"a: !secret b", (1, 4), "found the tag !secret, expected a plain value"),
        (b"a: !!python/object:os.system [x]", (1, 4), "expected a plain value"),
        (b"a: 1\na: 2", (2, 1), 'found "a" twice, first in line 1'),
        (b"? [a]\n: 1", (1, 3), "found a key that is not a word"),
        (b"{: 1}", (1, 3), "found a value without a key"),
        (b"a: *x", (1, 4), "found *x, but no &x is complete before it"),
        (b"a: &x [*x]", (1, 8), "found *x, but no &x is complete before it"),
        (BOMB, (6, 10), "more than 20,000 values"),
        (DEEP_BY_ALIASES, (20, 12), f"nested deeper than {DEEPEST} levels"),
        (b"a: {<<: 1}", (1, 5), "found 1 behind <<, expected a mapping, or a list of them"),
        (b"x: &x [1]\na: {<<: *x}", (2, 5), "found 1 behind <<, expected a mapping"),
        (b"x: &x {k: 1}\na: {<<: *x, b: 2, <<: *x}", (2, 19), 'found "<<" twice'),
        (b"[" + b"1," * MOST_VALUES + b"]", (1, 2 * MOST_VALUES), "more than 20,000 values"),
        (DEEP, (1, DEEPEST + 2), f"nested deeper than {DEEPEST} levels"),
        (b'a: "\\ud800"', (1, 4), "found half of a surrogate pair"),
        (b'a: "\\UFFFFFFFF"', (1, 1), "this is not YAML"),
        (b"%YAML 1.6\n---\na: 1", (1, 1), "this is not YAML: version minor part"),
    ],
    ids=lambda value: ascii(value)[:30],
)  # fmt: skip
def test_text_that_is_not_plain_yaml_is_refused_at_its_place(
    content: bytes, place: tuple[int, int], said: str
) -> None:
    flaw = parse(content).flaws[0]
    assert (flaw.place, said in flaw.sentence) == (place, True), flaw
