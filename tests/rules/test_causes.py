"""A cause is a value: what the program does never depends on how a sentence is worded."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

import pytest

from tests.rules.tree import PACKAGE, Module, for_each, modules

if TYPE_CHECKING:
    from collections.abc import Iterator

SENTENCES = {
    "cause", "error", "fault", "found", "message", "objection", "problem", "reason", "said",
    "sentence", "text", "trouble", "why", "words",
}  # fmt: skip
"""What sentences are called here."""

TAKES_APART = {
    "startswith",
    "endswith",
    "partition",
    "rpartition",
    "split",
    "rsplit",
    "find",
    "index",
    "count",
}
ENGLISH = re.compile(r"[a-z]{2,} |[ ;:.][ ].*[a-z]{2}| [a-z]{2,}")
PUNCTUATION = re.compile(r"; ?|[:.,] ")
SHOUTED = re.compile(r"[A-Z]{3,}(_[A-Z]+)*")
"""A word by which OpenSSL, or another library, names what it found in its sentence."""

FORMATS = {
    f"{PACKAGE}/edge/error_pages.py": "docs/errors.md, whose form test_errors holds",
    f"{PACKAGE}/onhost/http_probe.py": (
        "`ssl` tells an alert by OpenSSL's own name of it, which stands apart from its sentence"
    ),
    f"{PACKAGE}/onhost/properties.py": "what `systemctl show` writes",
}
"""What reads a format that looks like sentences, and is none of ours."""


def read_sentences(module: Module) -> Iterator[str]:
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Compare) and isinstance(node.ops[0], ast.In | ast.NotIn):
            reads = _looks_for(node.left, node.comparators[0])
        elif (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr in TAKES_APART
        ):
            reads = any(_takes_apart(argument, node.func.value) for argument in node.args[:1])
        else:
            reads = "__doc__" in {getattr(node, "attr", None), getattr(node, "id", None)}
        if reads and isinstance(node, ast.expr):
            yield (
                f"{module.path}:{node.lineno}: reads a sentence ({ast.unparse(node)[:60]}); make"
                " what it looks for a value"
            )


def _looks_for(part: ast.expr, whole: ast.expr) -> bool:
    if isinstance(whole, ast.Set | ast.List | ast.Tuple | ast.Dict):
        return False
    return any(
        ENGLISH.search(text) or (SHOUTED.fullmatch(text) and _is_sentence(whole))
        for text in _texts(part)
    )


def _takes_apart(separator: ast.expr, whole: ast.expr) -> bool:
    return any(
        ENGLISH.search(text) or (PUNCTUATION.fullmatch(text) and _is_sentence(whole))
        for text in _texts(separator)
    )


def _texts(node: ast.expr) -> list[str]:
    """Return the texts that are written there, or in a tuple there."""
    parts = node.elts if isinstance(node, ast.Tuple) else [node]
    return [
        part.value
        for part in parts
        if isinstance(part, ast.Constant) and isinstance(part.value, str)
    ]


def _is_sentence(node: ast.expr) -> bool:
    """Whether a sentence is made in an expression, such as `str(error)` or `one.reason or ""`."""
    called = (str(getattr(part, "attr", getattr(part, "id", ""))) for part in ast.walk(node))
    return any(name.rpartition("_")[2] in SENTENCES for name in called)


@for_each(modules(PACKAGE))
def test_no_control_flow_reads_english(module: Module) -> None:
    assert module.path in FORMATS or list(read_sentences(module)) == []


@pytest.mark.parametrize("path", FORMATS)
def test_what_is_let_off_still_reads_such_a_format(path: str) -> None:
    (module,) = (one for one in modules(PACKAGE) if one.path == path)
    assert list(read_sentences(module)) != []


@pytest.mark.parametrize(
    "text",
    [
        'if "CERTIFICATE_VERIFY_FAILED" in words: ...',
        'kind = "no tls" if "SSL" in str(error) else "refused"',
        'if " answered 501" in message: ...',
        'if "not yet valid" not in told: ...',
        'if interrupt.startswith(("no end", "late")): ...',
        'found, _, fix = objection.partition("; ")',
        'tuple(problem.partition(";")[0] for problem in problems)',
        'found = provenance.trouble.rpartition("; ")',
        'message.partition(". Nothing was done")',
        'said = str(sys.modules[name].__doc__).partition("\\n")[0]',
        'first = self.last_error.split(": ")',
    ],
)
def test_a_sentence_that_is_read_is_named(text: str) -> None:
    assert any(
        found.startswith("a.py:1: reads a sentence")
        for found in read_sentences(Module("a.py", text))
    )


@pytest.mark.parametrize(
    "text",
    [
        'if provenance.state in {"not in git", "untracked"}: ...',
        "if isinstance(error, ssl.SSLError): ...",
        "if error.verify_code in OUT_OF_DATE: ...",
        'name, _, value = word.partition("=")',
        'if " " in secret: ...',
        'host, _, port = place.rpartition(":")',
        'line.partition(" - ")',
        'words = text.split("\\n")',
        'if "hosts" not in saved: ...',
        'if path.startswith(("~", "$")): ...',
        'say(message.removeprefix("fatal: "))',
    ],
)  # fmt: skip
def test_a_value_that_is_asked_is_allowed(text: str) -> None:
    assert list(read_sentences(Module("a.py", text))) == []
