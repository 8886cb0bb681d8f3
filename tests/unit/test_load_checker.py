"""The judge of a load is judged: of each fault a gateway could have, it names that one alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.load.answers import read
from tests.load.checker import faults
from tests.load.history import switches
from tests.load.ledger import LEFT, Answer, Came, Down, Ledger, Look, Noted, Sent, Wish

KNOWN = {"a": ("is a", "is a too"), "b": ("is b", "is b too")}
A, B, AGAIN = Wish("1", "a", 0, True), Wish("2", "b", 1, False), Wish("3", "b", 0, True)
SERVED_A = Answer(200, "is a", "id-1", 1)
STOP_A, START_B = (
    Noted(6, 23, "step-intent", "stop", "a"),
    Noted(8, 25, "step-intent", "start", "b"),
)

ROWS = [
    Noted(1, 10, "step-intent", "start", "a"),
    Noted(2, 12, "step-done", "start", "a", "done"),
    Noted(3, 13, "step-intent", "admit", "a"),
    Noted(4, 14, "step-done", "admit", "a", "done"),
    Noted(5, 15, "run-closed", said="promoted"),
    Noted(5, 22, "step-done", "hold_requests", "a", "done"),
    STOP_A,
    Noted(7, 24, "step-done", "stop", "a", "done"),
    START_B,
    Noted(9, 26, "step-done", "start", "b", "done"),
    Noted(10, 27, "step-intent", "admit", "b"),
    Noted(11, 28, "step-done", "admit", "b", "done"),
    Noted(12, 29, "run-closed", said="promoted"),
]
KILL = Down(38, 39, 40)
ADMITTED_AGAIN = Noted(13, 41, "step-intent", "admit", "b")
GOOD = Ledger(
    seed=1,
    known=KNOWN,
    patience=10,
    sent=[Sent(A, 20), Sent(B, 21), Sent(AGAIN, 37), Sent(AGAIN, 40.5)],
    came=[
        Came("1", 21, SERVED_A),
        Came("2", 30, Answer(200, "is b too", "id-2", 0)),
        Came("3", 38.5, None, "reset"),
        Came("3", 42, Answer(200, "is b", "id-3", 1)),
    ],
    rows=[*ROWS, ADMITTED_AGAIN],
    downs=[KILL],
    looks=[
        Look(9, frozenset()),
        Look(20, frozenset({("a", 7)})),
        Look(24.5, frozenset()),
        Look(30, frozenset({("b", 8)})),
        Look(50, frozenset({("b", 8)})),
    ],
)


def test_a_good_load_has_no_fault() -> None:
    assert faults(GOOD) == []
    assert switches(GOOD.rows) == 1


def test_a_client_that_leaves_is_owed_nothing() -> None:
    left = replace(GOOD, came=[Came("1", 21, None, LEFT), *GOOD.came[1:]])
    assert faults(left) == []


def instead(answer: Answer) -> Ledger:
    """The load in which the first answer was another one."""
    return replace(GOOD, came=[Came("1", 21, answer), *GOOD.came[1:]])


def without(*rows: Noted) -> Ledger:
    return replace(GOOD, rows=[row for row in GOOD.rows if row not in rows])


FAULTS: dict[str, tuple[Callable[[], Ledger], str]] = {
    "the answer of another model": (lambda: instead(SERVED_A._replace(text="is b")), "is b's"),
    "the answer to another question": (
        lambda: instead(SERVED_A._replace(text="is a too")),
        "is no model's",
    ),
    "an answer twice": (
        lambda: replace(GOOD, came=[*GOOD.came, Came("2", 31, Answer(200, "is b too", "id-4", 0))]),
        "was answered 2 times",
    ),
    "an answer to nobody": (
        lambda: replace(GOOD, came=[*GOOD.came, Came("9", 31, SERVED_A)]),
        "9 was answered, and never asked",
    ),
    "one answer to two": (
        lambda: replace(
            GOOD,
            came=[GOOD.came[0], Came("2", 30, Answer(200, "is b too", "id-1", 0)), *GOOD.came[2:]],
        ),
        "2 answers are 'id-1'",
    ),
    "one lost": (lambda: replace(GOOD, came=GOOD.came[1:]), "was answered 0 times"),
    "one cut between two events": (
        lambda: instead(
            read(200, b'data: {"id": "id-1", "choices": [{"text": "is"}]}\n\n', streams=True)
        ),
        "at the end",
    ),
    "one cut in a body": (lambda: instead(SERVED_A._replace(text="is")), "is no model's"),
    "two ends": (lambda: instead(SERVED_A._replace(endings=2)), "2 times [DONE]"),
    "a refusal": (lambda: instead(Answer(503, "no", "", 0)), "got 503: no"),
    "an answer before its model served": (
        lambda: replace(
            GOOD,
            sent=[*GOOD.sent, Sent(B._replace(nonce="4"), 16)],
            came=[*GOOD.came, Came("4", 18, Answer(200, "is b too", "id-4", 0))],
        ),
        "when b did not serve",
    ),
    "an answer after the gate was closed": (
        lambda: replace(
            GOOD,
            sent=[*GOOD.sent, Sent(A._replace(nonce="4"), 22.5)],
            came=[*GOOD.came, Came("4", 22.8, SERVED_A._replace(name="id-4"))],
        ),
        "when a did not serve",
    ),
    "an answer through a gate that nobody opened after a kill": (
        lambda: without(ADMITTED_AGAIN),
        "when b did not serve",
    ),
    "an error while all was up": (
        lambda: replace(GOOD, downs=[Down(45, 46, 47)]),
        "failed between 37 and 38.5: reset",
    ),
    "an error after a kill, while the next process starts": (
        lambda: replace(
            GOOD,
            sent=[*GOOD.sent[:3], Sent(AGAIN, 39.2), GOOD.sent[3]],
            came=[*GOOD.came[:3], Came("3", 39.3, None, "refused"), GOOD.came[3]],
        ),
        "failed between 39.2 and 39.3: refused",
    ),
    "a late one": (lambda: replace(GOOD, patience=6), "was answered after 9.0 s"),
    "two units by the journal": (lambda: without(ROWS[7]), "row 8 starts b beside a"),
    "two units on the host": (
        lambda: replace(GOOD, looks=[Look(30, frozenset({("a", 7), ("b", 8)}))]),
        "shared the port at 30",
    ),
    "an engine gone": (
        lambda: replace(GOOD, looks=[*GOOD.looks, Look(60, frozenset())]),
        "b (8) was gone at 60, and no row stops it",
    ),
    "another engine in its place": (
        lambda: replace(GOOD, looks=[*GOOD.looks, Look(60, frozenset({("b", 9)}))]),
        "b (8) was gone at 60, and no row stops it",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_seeded_fault_is_named_and_no_other(fault: str) -> None:
    seeded, said = FAULTS[fault]
    (found,) = faults(seeded())
    assert said in found


def test_what_a_kill_cut_is_in_doubt_and_no_fault() -> None:
    stopping = Noted(14, 37, "step-intent", "stop", "b")
    starting = Noted(15, 43, "step-intent", "start", "a")
    assert faults(replace(GOOD, rows=[*ROWS, stopping, ADMITTED_AGAIN, starting])) == []


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'data: {"id": "1", "choices": []}\n\ndata: [DONE]\n\n', ""),
        (b': keepalive\n: keepalive\ndata: {"id": "1", "choices": []}\n\ndata: [DONE]\n\n', ""),
        (b': keepalive\n\ndata: {"id": "1", "choices": []}\n\ndata: [DONE]\n\n', "ValueError"),
        (b'data: {"id": "1", "choices": []}\n\ndata: [DONE]', "does not end"),
        (b'data: {"id": "1", "choices": []}\n\ndata: {"error": {}}\n\n', "KeyError"),
        (b"data: [DONE]\n\n", "0 names"),
        (b"", "IndexError"),
    ],
)  # fmt: skip
def test_a_stream_is_read_as_strictly_as_any_client_does(body: bytes, said: str) -> None:
    answer = read(200, body, streams=True)
    assert said in answer.trouble
    assert bool(said) == bool(answer.trouble)
