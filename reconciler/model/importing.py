"""Importing: what became of each thing that an imported source says."""

from typing import Literal, TypeAlias

from pydantic import Field

from reconciler.model.names import Value

Became: TypeAlias = Literal["carried", "changed", "left out"]


class ImportRow(Value):
    """What became of one thing that a source says."""

    where: str = Field(description="File and line, or the service or container.")
    key: str = Field(description="What is said there.")
    became: Became = Field(description="carried, changed or left out.")
    why: str = Field(default="", description="Why it is not as it was.")
    instead: str = Field(default="", description="What to do about that.")
