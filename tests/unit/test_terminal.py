"""What of a text a terminal would obey is shown instead."""

from __future__ import annotations

import json

import pytest

from reconciler.cli import terminal


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("one\n\ttwo \x1b[31mred\x1b[0m é", "one\n\ttwo \x1b[31mred\x1b[0m é"),
        ("\x1b[2J\x1b]0;mine\x07", "\\u001b[2J\\u001b]0;mine\\u0007"),
        ("10 %\r20 %\x9b2J\x7f", "10 %\\u000d20 %\\u009b2J\\u007f"),
        ("a\u202eb\x00", "a\\u202eb\\u0000"),
    ],
)
def test_only_colours_are_obeyed(text: str, expected: str) -> None:
    assert terminal.shown(text) == expected


def test_a_document_stays_what_it_is() -> None:
    document = {"lines": ["\x9b2J \x7f \u202e \x1b[2J"]}
    written = terminal.shown(json.dumps(document, ensure_ascii=False))
    assert written.isprintable()
    assert json.loads(written) == document


def test_what_is_written_and_said_is_shown_so(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.say("a\x1b[2J")
    assert terminal.write("b\x1b[2J") == 0
    assert terminal.write("c\x1b[2J", anew=True) == 0
    written = capsys.readouterr()
    assert written.err == "a\\u001b[2J\n"
    assert written.out == f"b\\u001b[2J\n{terminal.CLEAR}c\\u001b[2J\n"
