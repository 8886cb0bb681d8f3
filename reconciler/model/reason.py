"""Reasons: why something may not be, or is not as it should be.

A reason is a sentence whose two parts are still known apart.
"""

from typing import Any, Self

from pydantic_core import CoreSchema, core_schema


class Reason(str):
    """What was `found`, and the `fix` where one is known; as a string, the sentence of both.

    Empty: nothing is in the way. It is written as its sentence alone, so what is read again is all
    `found`.
    """

    # What to do is never looked for in the wording of a sentence, so `doctor` needs both parts;
    # rows and documents that earlier versions wrote hold the sentence.

    __slots__ = ("fix", "found")
    found: str
    fix: str

    def __new__(cls, found: str = "", fix: str = "") -> Self:
        """Join both parts."""
        reason = super().__new__(cls, f"{found}; {fix}" if fix else found)
        reason.found, reason.fix = found, fix
        return reason

    @classmethod
    def of(cls, sentence: str) -> Self:
        """Take a reason as it is; of any other sentence all is `found`."""
        return sentence if isinstance(sentence, cls) else cls(sentence)

    @classmethod
    def __get_pydantic_core_schema__(cls, _type: object, _schema_of: object) -> CoreSchema:
        """Take a reason as it is, both parts as a host sends them, or a sentence."""
        sentence = core_schema.no_info_after_validator_function(cls, core_schema.str_schema())
        part = core_schema.typed_dict_field(core_schema.str_schema())
        sent = core_schema.typed_dict_schema({"found": part, "fix": part}, extra_behavior="forbid")
        both = core_schema.no_info_after_validator_function(cls._sent, sent)
        # In this order, because a reason is a string as well: taken for one, it would lose its fix.
        ways: list[CoreSchema | tuple[CoreSchema, str]]
        ways = [core_schema.is_instance_schema(cls), both, sentence]
        return core_schema.json_or_python_schema(
            json_schema=sentence,
            python_schema=core_schema.union_schema(ways, mode="left_to_right"),
            serialization=core_schema.to_string_ser_schema(),
        )

    @classmethod
    def _sent(cls, parts: dict[str, Any]) -> Self:
        return cls(**parts)
