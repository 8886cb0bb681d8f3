"""Every error and reason that people may meet has a heading in docs/errors.md."""

from __future__ import annotations

import ast
import re
from functools import cache

import reconciler.edge.http_reply  # noqa: F401 - defines an error of its own
from reconciler.core import phrases
from reconciler.errors import ReconcilerError
from reconciler.steps.plan import STEPS
from tests.rules.tree import PACKAGE, ROOT, Module, for_each, modules

GIVES_REASONS = {"Condition", "Quarantine", "RunClosed", "_readiness", "_true"}
"""Types that have a reason, and the functions that make a condition for core/report/conditions."""


def tree(error: type[ReconcilerError]) -> list[type[ReconcilerError]]:
    return [one for child in error.__subclasses__() for one in (child, *tree(child))]


def of_runs() -> set[str]:
    """Return why a run may fail: at a step of any kind, or in its trial."""
    return {phrases.failed(kind) for kind in (*STEPS, "trial")}


def written(module: Module) -> set[str]:
    """Return the reasons that a module writes out."""
    calls = (node for node in ast.walk(module.tree) if isinstance(node, ast.Call))
    return {
        str(word.value.value)
        for call in calls
        if isinstance(call.func, ast.Name) and call.func.id in GIVES_REASONS
        for word in call.keywords
        if word.arg == "reason" and isinstance(word.value, ast.Constant)
    }


ERRORS = {error.__name__ for error in tree(ReconcilerError)}


@cache
def reasons() -> set[str]:
    """Return every reason that is written in the package, or made of a step's kind."""
    return of_runs() | {reason for module in modules(PACKAGE) for reason in written(module)}


def said() -> list[str]:
    """Return the names of all that people may meet."""
    return sorted(ERRORS | reasons())


def sections() -> dict[str, str]:
    """Return what stands under each name."""
    _, *parts = re.split(
        r"^## (\w+)\n",
        (ROOT / "docs" / "errors.md").read_text(encoding="utf-8"),
        flags=re.MULTILINE,
    )
    return dict(zip(parts[::2], parts[1::2], strict=True))


@for_each(said)
def test_every_error_and_every_reason_has_a_heading(name: str) -> None:
    assert name in sections()


@for_each(sorted(sections()))
def test_every_heading_is_of_something_that_may_be_said_and_tells_what_to_do(name: str) -> None:
    assert name in said()
    assert re.match(r"- Found: (.|\n)+\n- Do: ", sections()[name])


def test_the_rule_sees_the_reasons_of_runs_and_of_status() -> None:
    assert {
        "StartFailed",
        "AwaitVramFailed",
        "TrialFailed",
        "InSync",
        "RolledBack",
        "RunOpen",
    } <= reasons()
