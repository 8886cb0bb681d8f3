"""Findings: what a look at files, journal and hosts found wrong, each with what to do."""

from typing import Literal, TypeAlias

from pydantic import Field

from reconciler.model.names import Value

Level: TypeAlias = Literal["wrong", "note"]
Subject: TypeAlias = Literal[
    "files",
    "git",
    "data directory",
    "journal",
    "clock",
    "access",
    "logins",
    "claim",
    "power",
    "prepare",
    "run",
    "defect",
    "gpu",
    "program",
    "weights",
    "slots",
    "port",
    "key",
    "engine",
    "containers",
    "boot",
    "client",
]


class Finding(Value):
    """One thing that is not as it should be, and what to do about it."""

    level: Level = Field(
        description="wrong stands in the way, now or at the next switch; note does not."
    )
    host: str = Field(default="", description="The host, empty for what belongs to the controller.")
    model: str = Field(default="", description="The model, empty for what belongs to a whole host.")
    subject: Subject = Field(description="What it is about.")
    found: str = Field(description="What was found.")
    fix: str = Field(description="What to do, with the exact command where there is one.")


class Findings(Value):
    """Everything that `reconciler doctor` found. Nothing was changed."""

    version: Literal[1] = Field(default=1, description="The version of this document's format.")
    hosts: tuple[str, ...] = Field(description="The hosts that were looked at.")
    findings: tuple[Finding, ...] = Field(
        description="What was found, the controller's first. Empty: nothing to fix."
    )

    @property
    def wrong(self) -> bool:
        """Whether anything stands in the way."""
        return any(one.level == "wrong" for one in self.findings)
