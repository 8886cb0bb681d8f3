"""Pattern words: what a text has to look like, in place of the pattern that a schema has for it."""

from __future__ import annotations

from reconciler.model.names import IMAGE_PATTERN, NAME_PATTERN
from reconciler.model.origin import SERVICE_NAME

_LETTERS = "letters, digits, dots, dashes and underscores"
_FIRST = "of which the first is a letter or a digit"

EXPECTED = {
    NAME_PATTERN: (
        "up to 63 lower case letters, digits, dots, dashes and underscores, with a letter or digit"
        " at both ends"
    ),
    r"^/": "a path that begins with /; write ~ and variables out",
    r"^[^\x00]*$": "text without a NUL character",
    r"^[A-Za-z0-9][A-Za-z0-9_.-]+$": (
        f"the name of a container: two or more {_LETTERS}, {_FIRST}; `podman rename` gives a"
        " longer one"
    ),
    r"^[A-Za-z0-9][A-Za-z0-9_.-]*$": f"a name of {_LETTERS}, {_FIRST}",
    IMAGE_PATTERN: "the name of an image, such as ghcr.io/ggml-org/llama.cpp:server-cuda",
    r"^[A-Za-z0-9][A-Za-z0-9_.:/=-]*$": 'the name of a device, such as nvidia.com/gpu=0 or "0"',
    r"^[0-9]+:[0-9]+$": 'numbers of a user and a group, such as "1000:1000"; `id` shows yours',
    r"^[^:\x00-\x1f]+:/[^:\x00-\x1f]+(:[A-Za-z,]+)?$": (
        "a folder or volume and its place inside, such as /data:/data:ro"
    ),
    SERVICE_NAME: (
        "the whole name of a service, such as llama.service or llm@gemma.service; `systemctl"
        " list-units --type=service` lists them"
    ),
    r"^[^\s\x00-\x1f\x7f]{1,128}$": "1 to 128 characters without blanks",
    r"^[A-Za-z_][A-Za-z0-9_]*$": (
        "the name of a variable: letters, digits and underscores, of which the first is no digit"
    ),
    r"^[A-Za-z0-9_.-]+$": f"the name of a credential: {_LETTERS}",
    r"^[-+]?[0-9]{1,18}$": "a whole number",
}
"""What is expected, by pattern."""
