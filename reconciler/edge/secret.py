"""Read secrets where they are, when they are needed; they are never kept, and never part of a sentence."""

from __future__ import annotations

import os
from pathlib import Path

from reconciler.errors import Declined
from reconciler.model.secret import FromCredential, FromEnv, FromFile, Secret

LIMIT = 64 * 1024
CREDENTIALS = "CREDENTIALS_DIRECTORY"


def read(secret: Secret) -> str:
    """Return what a reference leads to; raise Declined, because nothing is begun without it."""
    match secret:
        case FromEnv(from_env=name):
            value = os.environ.get(name)
            if not value:
                raise Declined(f"the secret is to be in the environment variable {name}, which is not set here")
            return value
        case FromFile(from_file=path):
            return _content(Path(path))
        case FromCredential(from_credential=name):
            folder = os.environ.get(CREDENTIALS)
            if not folder:
                raise Declined(f"the credential {name} is given by systemd alone: `LoadCredential={name}:/path` in its unit")
            return _content(Path(folder) / name)


def _content(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(LIMIT + 1)
    except OSError as error:
        raise Declined(f"the secret in {path} cannot be read: {error.strerror}") from error
    if len(content) > LIMIT:
        raise Declined(f"{path} holds more than {LIMIT} bytes, which is no secret")
    return content.decode("utf-8", "replace").rstrip("\r\n")
