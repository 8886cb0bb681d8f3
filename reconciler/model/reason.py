"""Why something may not be, or is not as it should be: a sentence whose two parts are still known apart."""

from __future__ import annotations

from typing import Any, Self

from pydantic_core import CoreSchema, core_schema


class Reason(str):
    """What was `found`, and the `fix` where one is known; whoever wants a sentence has it as it is.

    Empty: nothing is in the way.

    It is written as its sentence alone, so what is read again is all `found`.
    """

    __slots__ = ("fix", "found")
    found: str
    fix: str

    def __new__(cls, found: str = "", fix: str = "") -> Self:
        """Join both parts."""
        reason = super().__new__(cls, f"{found}; {fix}" if fix else found)
        reason.found, reason.fix = found, fix
        return reason

    @classmethod
    def __get_pydantic_core_schema__(cls, _type: object, _schema_of: object) -> CoreSchema:
        """Take a reason as it is, both parts as a host sends them, or a sentence."""
        sentence = core_schema.no_info_after_validator_function(cls, core_schema.str_schema())
        part = core_schema.typed_dict_field(core_schema.str_schema())
        sent = core_schema.typed_dict_schema({"found": part, "fix": part}, extra_behavior="forbid")
        both = core_schema.no_info_after_validator_function(cls._sent, sent)
        either = core_schema.union_schema(
            [core_schema.is_instance_schema(cls), both, sentence], mode="left_to_right"
        )
        written = core_schema.to_string_ser_schema()
        return core_schema.json_or_python_schema(
            json_schema=sentence, python_schema=either, serialization=written
        )

    @classmethod
    def _sent(cls, parts: dict[str, Any]) -> Self:
        return cls(**parts)
