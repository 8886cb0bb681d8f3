"""Checker: what is wrong with a load, one sentence a fault. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from itertools import pairwise

from tests.load.history import Span, open_spans, overlaps
from tests.load.ledger import LEFT, Answer, Came, Ledger, Sent, Wish


def faults(ledger: Ledger) -> list[str]:
    """Everything that must not be; an empty list is a load that went well."""
    return [
        *_uncounted(ledger),
        *_bad_answers(ledger),
        *_out_of_time(ledger),
        *_repeated_names(ledger),
        *_unexplained(ledger),
        *_late(ledger),
        *overlaps(ledger.rows, ledger.downs),
        *_side_by_side(ledger),
        *_gone(ledger),
    ]


def _wishes(ledger: Ledger) -> dict[str, Wish]:
    return {sent.wish.nonce: sent.wish for sent in ledger.sent}


def _answers(ledger: Ledger) -> Iterator[tuple[Wish, Came, Answer]]:
    wishes = _wishes(ledger)
    for came in ledger.came:
        if came.answer is not None and came.nonce in wishes:
            yield wishes[came.nonce], came, came.answer


def _uncounted(ledger: Ledger) -> Iterator[str]:
    """What was not answered exactly once, though its client stayed."""
    counted = Counter(came.nonce for came in ledger.came if came.answer or came.error == LEFT)
    for nonce, wish in _wishes(ledger).items():
        if counted[nonce] != 1:
            yield f"{wish} was answered {counted[nonce]} times"
    yield from (
        f"{nonce} was answered, and never asked" for nonce in counted - _wishes(ledger).keys()
    )


def _bad_answers(ledger: Ledger) -> Iterator[str]:
    """What is no whole answer, or not that of the model."""
    for wish, _, answer in _answers(ledger):
        if answer.status != 200 or answer.trouble:
            yield f"{wish} got {answer.status}: {answer.trouble or answer.text}"
        elif answer.endings != int(wish.streams):
            yield f"{wish} got {answer.endings} times [DONE]"
        elif not _speakers(ledger, wish, answer):
            others = _speakers(ledger, wish._replace(model="active"), answer)
            yield f"{wish} got {answer.text!r}, which is {' or '.join(others) or 'no model'}'s"


def _speakers(ledger: Ledger, wish: Wish, answer: Answer) -> list[str]:
    """The models that were asked and answer like this."""
    asked = [wish.model] if wish.model in ledger.known else sorted(ledger.known)
    return [model for model in asked if ledger.known[model][wish.prompt] == answer.text]


def _out_of_time(ledger: Ledger) -> Iterator[str]:
    """Answers of a model to which no gateway sent requests at any time of the exchange."""
    served = open_spans(ledger.rows, ledger.downs)
    began = {nonce: sendings[-1] for nonce, sendings in _sendings(ledger).items()}
    for wish, came, answer in _answers(ledger):
        exchange = Span(began[wish.nonce].at, came.at)
        models = _speakers(ledger, wish, answer)
        if models and not any(span.meets(exchange) for one in models for span in served[one]):
            yield f"{wish} was answered in {exchange}, when {' and '.join(models)} did not serve"


def _sendings(ledger: Ledger) -> dict[str, list[Sent]]:
    found: dict[str, list[Sent]] = defaultdict(list)
    for sent in ledger.sent:
        found[sent.wish.nonce].append(sent)
    return found


def _repeated_names(ledger: Ledger) -> Iterator[str]:
    """Answers that two clients got: an engine gives each one a name of its own."""
    names = Counter(answer.name for _, _, answer in _answers(ledger) if answer.status == 200)
    yield from (f"{count} answers are {name!r}" for name, count in names.items() if count > 1)


def _unexplained(ledger: Ledger) -> Iterator[str]:
    """Errors of a connection that no kill cut: while it is down, its socket lets clients wait."""
    downs = [Span(down.since, down.dead) for down in ledger.downs]
    tries = {nonce: iter(sendings) for nonce, sendings in _sendings(ledger).items()}
    for came in ledger.came:
        sent = next(tries.get(came.nonce, iter(())), None)
        if came.answer is not None or came.error == LEFT or sent is None:
            continue
        if not any(down.meets(Span(sent.at, came.at)) for down in downs):
            yield f"{sent.wish} failed between {sent.at} and {came.at}: {came.error}"


def _late(ledger: Ledger) -> Iterator[str]:
    """Answers after more than the longest wait, and what the gateway was down."""
    down = sum(one.until - one.since for one in ledger.downs)
    first = {nonce: sendings[0].at for nonce, sendings in _sendings(ledger).items()}
    for wish, came, _ in _answers(ledger):
        took = came.at - first[wish.nonce]
        if took > ledger.patience + down:
            yield f"{wish} was answered after {took:.1f} s"


def _side_by_side(ledger: Ledger) -> Iterator[str]:
    for look in ledger.looks:
        if len(look.units) > 1:
            yield f"{sorted(look.units)} shared the port at {look.at}"


def _gone(ledger: Ledger) -> Iterator[str]:
    """Units that ended though nobody wrote that they would be stopped."""
    for look, later in pairwise(ledger.looks):
        for model, pid in look.units - later.units:
            # It may have been seen while it was ending.
            of_model = [row for row in ledger.rows if row.model == model and row.at <= later.at]
            acts = [row.step for row in of_model if row.kind == "step-intent"]
            last = next((step for step in reversed(acts) if step in {"start", "stop"}), "")
            if last != "stop" and not _restarted(ledger, model, look.at, later.at):
                yield f"{model} ({pid}) was gone at {later.at}, and no row stops it"


def _restarted(ledger: Ledger, model: str, since: float, until: float) -> bool:
    """Whether a model was stopped and started again between two looks."""
    acts = {row.step for row in ledger.rows if row.model == model and since <= row.at <= until}
    return {"stop", "start"} <= acts
