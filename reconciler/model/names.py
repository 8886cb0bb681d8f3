"""Names: what operators may call things, and how facts are addressed."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, StringConstraints, model_validator

NAME_PATTERN = r"^[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?$"

_PART = "[a-z0-9]+([._-]+[a-z0-9]+)*"
IMAGE_PATTERN = (
    rf"^([A-Za-z0-9][A-Za-z0-9.-]*(:[0-9]+)?/)?{_PART}(/{_PART})*(:[A-Za-z0-9_][A-Za-z0-9_.-]*)?"
    r"(@[a-z0-9]+:[0-9a-f]+)?$"
)
"""A registry, the path in it, a tag and a digest. Source: distribution/reference, regexp.go."""

HostName = Annotated[str, StringConstraints(pattern=NAME_PATTERN)]
ModelName = Annotated[str, StringConstraints(pattern=NAME_PATTERN)]
Digest = Annotated[str, StringConstraints(pattern=r"^v[0-9]+:[0-9a-z]+:[0-9a-f]{8,64}$")]


class Value(BaseModel):
    """A frozen value that prints as JSON and refuses unknown keys."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        defer_build=True,
        ser_json_bytes="base64",
        ser_json_inf_nan="constants",
    )


class ConfigFile(Value):
    """A whole file that operators write.

    Keys at its top that begin with `x-` are theirs, such as what merge keys bring in.
    """

    model_config = ConfigDict(json_schema_extra={"patternProperties": {"^x-": {}}})

    @model_validator(mode="before")
    @classmethod
    def _without_own_keys(cls, value: object) -> object:
        if not isinstance(value, dict):
            return value
        return {key: part for key, part in value.items() if not str(key).startswith("x-")}
