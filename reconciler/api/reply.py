"""Reply: what a verb ended with, as an answer over HTTP."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, TypeVar

from pydantic import BaseModel, ValidationError

from reconciler.errors import Misused, ReconcilerError, Unexpected
from reconciler.gateway.control import ControlReply
from reconciler.model.problem import nearest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic_core import ErrorDetails

    from reconciler.model.names import Value
    from reconciler.verbs.result import Outcome

Body = TypeVar("Body", bound=BaseModel)

JSON = (b"Content-Type", b"application/json")
EXIT_CODE = b"X-Exit-Code"
STATUS = {0: 200, 1: 422, 2: 200, 3: 200, 4: 409, 5: 500, 64: 400}
"""The status for each exit code of the command line."""

UNKNOWN = 500


def looked(outcome: Outcome[Value]) -> ControlReply:
    """The answer to who looks: a document is one whatever it says."""
    return told(200, outcome.document.model_dump(mode="json"), outcome.exit_code)


def acted(outcome: Outcome[Value]) -> ControlReply:
    """The answer to who acts, whose status says how it ended."""
    status = STATUS.get(outcome.exit_code, UNKNOWN)
    return told(status, outcome.document.model_dump(mode="json"), outcome.exit_code)


def refused(error: ReconcilerError) -> ControlReply:
    """The answer that says why there is none."""
    said = {"message": error.message, "type": error.reason, "code": error.exit_code}
    is_ours = isinstance(error, Unexpected)
    status = UNKNOWN if is_ours else STATUS.get(error.exit_code, UNKNOWN)
    return told(status, {"error": {**said, "src": "gateway"}}, error.exit_code)


def told(status: int, document: Mapping[str, object], exit_code: int | None = None) -> ControlReply:
    """An answer of JSON."""
    code = () if exit_code is None else ((EXIT_CODE, str(exit_code).encode()),)
    body = json.dumps(document, ensure_ascii=False).encode()
    return ControlReply(status, body, (JSON, *code))


def read(body: bytes, kind: type[Body]) -> Body:
    """Read a body; raise Misused naming what is wrong. No body is one without words."""
    try:
        return kind.model_validate_json(body or b"{}")
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"])) or "the body"
        known = [field.alias or name for name, field in kind.model_fields.items()]
        said = f"unknown key{nearest(place, known)}" if _is_unknown(first) else first["msg"]
        raise Misused(f"{place}: {said}; a body may have: {', '.join(known)}") from None


def number(text: str, what: str) -> int:
    """Read a number; raise Misused saying what was expected."""
    if not text.isdecimal():
        raise Misused(f"found {text}, expected {what}")
    return int(text)


def _is_unknown(error: ErrorDetails) -> bool:
    return error["type"] == "extra_forbidden"
