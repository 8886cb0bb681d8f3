"""Row tally: what the rows of a journal add up to, as the metrics of what was done to hosts."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator

from reconciler.model.leasing import Leased, Released
from reconciler.model.metrics import Histogram, Labels, MetricFamily, counted, gauged, timed
from reconciler.model.records import Row, RunClosed, RunOpened, StepDone

RESTORE = "restore_slots"
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
            case Leased() as leased:
                owner = "person" if leased.term is not None else "requests"
                self._owners[leased.host, leased.model] = owner
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
        before, after = self._active.get(run.host, ""), "+".join(run.slice.active or ())
        self._active[run.host] = after
        if at >= self._since:
            self._runs[run.host, before, after, run.mode, closed.verdict] += 1
            self._run_seconds[run.host, run.mode].add(max(at - opened.at, 0.0))

    def _released(self, released: Released, at: float) -> None:
        owner = self._owners.pop((released.host, released.model), "")
        if at >= self._since:
            end = "failed" if released.failed else "over"
            self._leases[released.model, owner, end] += 1

    def families(self) -> Iterator[MetricFamily]:
        """All of it."""
        run = ("host", "from", "to", "mode", "result")
        yield counted("switches_total", "Runs that are over.", run, self._runs)
        mode = ("host", "mode")
        yield timed("switch_seconds", "How long runs took.", mode, self._run_seconds)
        step = ("step", "outcome")
        yield timed("step_seconds", "How long steps took.", step, self._step_seconds)
        lease = ("model", "owner", "end")
        yield counted("leases_total", "Leases that are over.", lease, self._leases)
        restore = ("model", "outcome")
        yield counted("restores_total", "Restores of a model.", restore, self._restores)
        moment = ("host", "card", "moment")
        yield gauged("gpu_memory_bytes", "What a card held last then.", moment, self._held)
        tokens = "Tokens that came back."
        yield counted("restored_tokens_total", tokens, ("model",), self._tokens)
