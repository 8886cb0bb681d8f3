"""Secrets: where one is, never what it is."""

from typing import Annotated, TypeAlias, assert_never

from pydantic import BaseModel, ConfigDict, Field


class _Reference(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


class FromEnv(_Reference):
    """A secret in an environment variable of the controller."""

    from_env: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")] = Field(
        description="The variable's name."
    )


class FromFile(_Reference):
    """A secret in a file of the controller, without the newline at its end."""

    from_file: Annotated[str, Field(pattern=r"^/")] = Field(description="The file's absolute path.")


class FromCredential(_Reference):
    """A secret among the credentials of the controller's systemd service (LoadCredential=)."""

    from_credential: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]+$")] = Field(
        description="The credential's name."
    )


Secret: TypeAlias = FromEnv | FromFile | FromCredential


def where(secret: Secret) -> str:
    """Where a secret is, for a sentence."""
    match secret:
        case FromEnv(from_env=name):
            return f"the environment variable {name}"
        case FromFile(from_file=path):
            return path
        case FromCredential(from_credential=name):
            return f"the credential {name}"
        case _:
            assert_never(secret)
