"""A catalog of drivers that exist only as options and capabilities."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, BaseModel, Field, JsonValue

from reconciler.model.names import Value
from reconciler.model.place import Inside
from reconciler.model.quantity import WHOLE
from reconciler.model.spec import Capabilities, Command, Kind


class NoOptions(Value):
    """No options at all."""


class FakeAccessKind(Value):
    """Access to a host that is not there."""

    address: str = Field(default="", description="Where the host answers.")
    via: str | None = Field(default=None, description="The host that it is reached through.")


class FakeFromFile(Value):
    """A secret in a file."""

    from_file: str


class FromEnvironment(Value):
    """A secret in the environment."""

    from_env: str


class FakePowerKind(Value):
    """The power of a host that is not there."""

    password: FakeFromFile | FromEnvironment | None = Field(
        default=None, description="Where the secret is."
    )
    suspends: bool = Field(default=False, strict=True, description="Whether it can suspend.")
    plug: int = Field(default=0, strict=True, description="The socket it is on.")


class Limit(Value):
    """A bound to what a launcher gives."""

    cores: int = Field(strict=True)


class FakeLauncherKind(Value):
    """A launcher that runs nothing."""

    limits: tuple[Limit, ...] = Field(default=(), description="What each unit may use.")
    total: Limit | None = Field(default=None, description="What all units may use.")
    scope: Literal["user", "system"] = Field(default="user", description="Whose unit it is.")


def _no_port(args: tuple[str, ...]) -> tuple[str, ...]:
    if "--port" in args:
        raise ValueError("--port is set by the key port")
    return args


class FakeEngineKind(Value):
    """An engine that answers nothing."""

    weights: str = Field(default="", description="The weights file.")
    context: Annotated[int, Field(ge=1), WHOLE] = Field(
        default=4096, description="Tokens in a conversation."
    )
    args: Annotated[tuple[str, ...], AfterValidator(_no_port)] = Field(
        default=(), description="More words for its command line."
    )


class StrictEngine(FakeEngineKind):
    """An engine that insists on its weights, and keeps no conversations."""

    weights: str = Field(description="The weights file.")


class FakeCatalog:
    """A catalog of one driver for every role, and a few that can do less."""

    _options: ClassVar[dict[str, dict[str, type[BaseModel]]]] = {
        "access": {"local": NoOptions, "fake": FakeAccessKind},
        "power": {"none": NoOptions, "fake": FakePowerKind},
        "gpu": {"auto": NoOptions, "fake": NoOptions},
        "launcher": {"process": NoOptions, "fake": FakeLauncherKind},
        "engine": {"fake": FakeEngineKind, "strict": StrictEngine},
    }

    def kinds(self, role: str) -> tuple[str, ...]:
        """List the kinds of a role."""
        return tuple(self._options[role])

    def options(self, role: str, kind: str) -> type[BaseModel]:
        """Look up the model that a kind's options must fit."""
        return self._options[role][kind]

    def capabilities(self, role: str, kind: Kind) -> Capabilities:
        """Look up what a driver can do."""
        if kind.kind != "fake":
            return Capabilities()
        powers = role == "power"
        return Capabilities(
            keeps_conversations=role == "engine",
            owns=role == "launcher",
            can_wake=powers,
            can_suspend=powers and bool(kind.options["suspends"]),
            can_shut_down=powers,
        )

    def command(
        self, kind: str, options: BaseModel, model_name: str, port: int, gpus: Sequence[int]
    ) -> Command:
        """Make a command line out of all options."""
        _ = kind
        given = sorted(options.model_dump(mode="json").items())
        words = [f"--{name}={value}" for name, value in given]
        cards = [f"--cards={','.join(map(str, gpus))}"] if gpus else []
        return Command(argv=("fake-engine", model_name, f"--port={port}", *cards, *words))

    def needed(self, engine: str) -> tuple[str, ...]:
        """List none: their options insist on what they need."""
        _ = engine
        return ()

    def inside(self, launcher: Kind, model_name: str) -> Inside | None:
        """Name no container: nothing here runs in one."""
        _ = launcher, model_name
        return None

    def launched(self, launcher: Kind) -> JsonValue:
        """List the bounds that a launcher sets."""
        return launcher.options.get("total")
