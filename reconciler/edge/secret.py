"""Read secrets where they are, when they are needed.

They are never kept, and never part of a sentence.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from reconciler.errors import Declined
from reconciler.model.secret import FromCredential, FromEnv, FromFile, Secret, where

LIMIT = 64 * 1024
CREDENTIALS = "CREDENTIALS_DIRECTORY"


def read(secret: Secret) -> str:
    """Return what a reference leads to; raise Declined, because nothing is begun without it."""
    match secret:
        case FromEnv(from_env=name):
            value = os.environ.get(name)
            if not value:
                raise Declined(
                    f"the secret should be in the environment variable {name}, which is not set"
                    " here"
                )
            return value
        case FromFile(from_file=path):
            return _content(Path(path))
        case FromCredential(from_credential=name):
            folder = os.environ.get(CREDENTIALS)
            if not folder:
                raise Declined(
                    f"the credential {name} is given by systemd alone:"
                    f" `LoadCredential={name}:/path` in its unit"
                )
            return _content(Path(folder) / name)


def read_word(secret: Secret) -> str:
    """Return a secret that is one word, fit for a header and for a variable.

    Of a file of several, the first. Raise Declined.

    What is no word would break what it is put into, and the sentence about that would show it.
    """
    word = next(iter(read(secret).split("\n")), "").rstrip("\r")
    if not word or not word.isascii() or not word.isprintable() or " " in word:
        raise Declined(f"what is in {where(secret)} is no key, which is one word")
    return word


def read_words(secrets: Mapping[str, Secret]) -> dict[str, str]:
    """Return secrets by the names of the variables that they are for; raise Declined."""
    return {name: read_word(secret) for name, secret in secrets.items()}


def problem(secrets: Mapping[str, Secret]) -> str:
    """Return why secrets cannot be had now, empty when they can."""
    try:
        read_words(secrets)
    except Declined as error:
        return error.message
    return ""


def _content(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(LIMIT + 1)
    except OSError as error:
        raise Declined(f"the secret in {path} cannot be read: {error.strerror}") from error
    if len(content) > LIMIT:
        raise Declined(f"{path} holds more than {LIMIT} bytes, which is no secret")
    return content.decode("utf-8", "replace").rstrip("\r\n")
