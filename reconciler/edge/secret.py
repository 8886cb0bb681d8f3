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
    """Read what a reference leads to; raise Declined, because nothing is begun without it."""
    match secret:
        case FromEnv(from_env=name):
            return _variable(name)
        case FromFile(from_file=path):
            return _content(path)
        case FromCredential(from_credential=name):
            return _content(_credential(name))


def _variable(name: str) -> str:
    value = os.environ.get(name)
    if not value:
        raise Declined(
            f"the secret should be in the environment variable {name}, which is not set here"
        )
    return value


def _credential(name: str) -> str:
    folder = os.environ.get(CREDENTIALS)
    if not folder:
        raise Declined(
            f"the credential {name} is given by systemd alone:"
            f" `LoadCredential={name}:/path` in its unit"
        )
    return f"{folder}/{name}"


def read_word(secret: Secret) -> str:
    """Read a secret that is one word, fit for a header and for a variable; raise Declined.

    A file may have several, one a line; the first is taken.
    """
    word = read(secret).split("\n")[0].rstrip("\r")
    if not is_word(word):
        raise Declined(f"what is in {where(secret)} is no key, which is one word")
    return word


def is_word(text: str) -> bool:
    """Whether a text is one word of ASCII."""
    # Anything else would break what it is put into, and the sentence about that would show it.
    return text != "" and text.isascii() and text.isprintable() and " " not in text


def read_words(secrets: Mapping[str, Secret]) -> dict[str, str]:
    """Read secrets by the names of the variables that they are for; raise Declined."""
    return {name: read_word(secret) for name, secret in secrets.items()}


def problem(secrets: Mapping[str, Secret]) -> str:
    """Explain why secrets cannot be had now, if they cannot."""
    try:
        read_words(secrets)
    except Declined as error:
        return error.message
    return ""


def _content(name: str) -> str:
    path = Path(name)
    try:
        with path.open("rb") as file:
            # No whole file: the path may be that of a model, or of a device without an end.
            content = file.read(LIMIT + 1)
    except OSError as error:
        raise Declined(f"the secret in {path} cannot be read: {error.strerror}") from error
    if len(content) > LIMIT:
        raise Declined(f"{path} holds more than {LIMIT} bytes, which is no secret")
    return content.decode("utf-8", "replace").rstrip("\r\n")
