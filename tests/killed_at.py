"""`python -m tests.killed_at MOMENTS COMMAND...`: reconciler, killed at these moments.

It sends itself SIGKILL once its journal has them, so that no machine is too fast or too slow: at
once, or, where the last moment is an intent, a little later, when its effect is under way. Moments
are separated by commas, such as "done stop,intent start". Where they begin with "halt,", it is
stopped by SIGSTOP instead, always at once, until it is told to go on.
"""

from __future__ import annotations

import os
import signal
import sys
import threading

from reconciler.cli import main
from reconciler.model.records import Record, Row, RunOpened, StepDone, StepIntent
from reconciler.store.journal_file import JournalFile

LATER_SECONDS = 0.003


def moment(record: Record) -> str:
    """Name a record by what it is about: a run by its mode, a step by its kind."""
    match record:
        case RunOpened(mode=mode):
            return f"{mode} opened"
        case StepIntent(step=step):
            return f"intent {step}"
        case StepDone(step=step):
            return f"done {step}"
        case _:
            return record.kind


def stands_for(sought: str, seen: str) -> bool:
    """Whether a moment is what is sought: a wait with no intent counts by its end."""
    return seen == sought or (
        sought.startswith("intent await_") and seen == sought.replace("intent", "done", 1)
    )


def end_after(moments: list[str], number: signal.Signals) -> None:
    """Arrange that this process gets a signal."""
    append = JournalFile.append

    def end() -> None:
        os.kill(os.getpid(), number)

    def appending(journal: JournalFile, record: Record) -> Row:
        row = append(journal, record)
        if moments and stands_for(moments[0], moment(record)):
            moments.pop(0)
            if not moments:
                later = number == signal.SIGKILL and isinstance(record, StepIntent)
                (threading.Timer(LATER_SECONDS, end).start if later else end)()
        return row

    JournalFile.append = appending  # type: ignore[assignment, method-assign]


if __name__ == "__main__":
    first, *others = sys.argv.pop(1).split(",")
    halts = first == "halt"
    end_after(others if halts else [first, *others], signal.SIGSTOP if halts else signal.SIGKILL)
    sys.exit(main())
