"""Row tally: what the rows of a journal add up to, as the metrics of what was done to hosts."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator

from reconciler.model.leasing import Leased, Released, Term
from reconciler.model.metrics import Histogram, Labels, MetricFamily, counted, gauged, timed
from reconciler.model.records import Adopted, Carried, Row, RunClosed, RunOpened, StepDone
from reconciler.model.spec import Slice

RESTORE, WAKE = "restore_slots", "wake"
RUN_SECONDS = (0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 600.0)


class RowTally:
    """Counts rows from a moment on, each once."""

    def __init__(self, since: float) -> None:
        """Take the moment in seconds of the wall clock; what was before moves no number."""
        self._since = since
        self.newest = 0
        self._open = dict[int, Row]()
        self._active = dict[str, str]()
        self._owners = dict[tuple[str, str], str]()
        self._runs, self._leases = Counter[Labels](), Counter[Labels]()
        self._restores, self._tokens = Counter[Labels](), Counter[Labels]()
        self._held = dict[Labels, float]()
        self._run_seconds = defaultdict[Labels, Histogram](lambda: Histogram(RUN_SECONDS))
        self._step_seconds = defaultdict[Labels, Histogram](lambda: Histogram(RUN_SECONDS))
        self._wake_seconds = defaultdict[Labels, Histogram](lambda: Histogram(RUN_SECONDS))

    def take(self, row: Row) -> None:
        """Count a row; they come in their order."""
        self.newest = row.seq
        match row.record:
            case RunOpened():
                self._open[row.seq] = row
            case StepDone() as done if row.at >= self._since:
                self._step(done)
            case RunClosed() as closed:
                self._closed(closed, row.at)
            case Adopted() as adopted:
                self._active[adopted.host] = _served(adopted.slice)
            case Carried() as carried:
                self._carried(carried)
            case Leased() as leased:
                self._owners[leased.host, leased.model] = _owner(leased.term)
            case Released() as released:
                self._released(released, row.at)
            case _:
                pass

    def _step(self, done: StepDone) -> None:
        self._step_seconds[done.step, done.outcome].add(done.seconds)
        memory = done.evidence.get("card_memory")
        for moment, held in memory.items() if isinstance(memory, dict) else ():
            sizes = held.items() if isinstance(held, dict) else ()
            for card, size in sizes:
                self._held[done.host, card, moment] = float(str(size))
        if done.step == WAKE and done.outcome == "done":
            by = done.evidence.get("by")
            drivers = "+".join(map(str, by)) if isinstance(by, list) else ""
            self._wake_seconds[done.host, drivers].add(done.seconds)
        if done.step == RESTORE:
            self._restores[done.model, done.outcome] += 1
            slots = done.evidence.get("slots")
            for slot in slots if isinstance(slots, list) else ():
                tokens = slot.get("tokens") if isinstance(slot, dict) else None
                self._tokens[done.model,] += int(tokens) if isinstance(tokens, int) else 0

    def _closed(self, closed: RunClosed, at: float) -> None:
        opened = self._open.pop(closed.run, None)
        if opened is None or not isinstance(opened.record, RunOpened):
            return
        run = opened.record
        before, after = self._active.get(run.host, ""), _served(run.slice)
        self._active[run.host] = after
        if at >= self._since:
            self._runs[run.host, before, after, run.mode, closed.verdict] += 1
            self._run_seconds[run.host, run.mode].add(max(at - opened.at, 0.0))

    def _carried(self, carried: Carried) -> None:
        """Take what rows said that are not kept any more, none of which is counted."""
        if carried.last_good is not None:
            self._active.setdefault(carried.host, _served(carried.last_good))
        for model, lease in carried.leases.items():
            self._owners.setdefault((carried.host, model), _owner(lease.term))

    def _released(self, released: Released, at: float) -> None:
        owner = self._owners.pop((released.host, released.model), "")
        if at >= self._since:
            end = "failed" if released.failed else "over"
            self._leases[released.model, owner, end] += 1

    def families(self) -> Iterator[MetricFamily]:
        """All of it."""
        run = ("host", "from", "to", "mode", "result")
        told = "Runs that are over, with the models before and after."
        yield counted("switches_total", told, run, self._runs)
        told = "Seconds from the beginning of a run to its end."
        yield timed("switch_seconds", told, ("host", "mode"), self._run_seconds)
        told = "Seconds that a step of a run took."
        yield timed("step_seconds", told, ("step", "outcome"), self._step_seconds)
        told = "Seconds from waking a host until it could be used, by the drivers that were asked."
        yield timed("wake_seconds", told, ("host", "driver"), self._wake_seconds)
        told = "Leases that are over, by who had the model."
        yield counted("leases_total", told, ("model", "owner", "end"), self._leases)
        told = "Times that a model was given its saved conversations back."
        yield counted("restores_total", told, ("model", "outcome"), self._restores)
        told = "Tokens of saved conversations that came back, and need not be read again."
        yield counted("restored_tokens_total", told, ("model",), self._tokens)
        told = "Bytes that were held on a card at this moment of the last run that looked."
        yield gauged("gpu_memory_bytes", told, ("host", "card", "moment"), self._held)


def _served(slice_: Slice) -> str:
    return "+".join(slice_.active or ())


def _owner(term: Term | None) -> str:
    return "requests" if term is None else "person"
