"""What a compose program notes on the containers that it makes.

The same by docker-compose 1.29.2 and podman-compose 1.6.0, but that the latter has no `oneoff`.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

PREFIX = "com.docker.compose."
PROJECT, SERVICE = f"{PREFIX}project", f"{PREFIX}service"
FOLDER = f"{PREFIX}project.working_dir"
_FILES = f"{PREFIX}project.config_files"
_ONEOFF = f"{PREFIX}oneoff"


def files(labels: Mapping[str, str]) -> tuple[str, ...]:
    """List the files that define a container's project."""
    folder, written = labels.get(FOLDER, ""), labels.get(_FILES, "")
    return tuple(os.path.join(folder, file) for file in written.split(",") if file)


def of(labels: Mapping[str, str]) -> tuple[str, str]:
    """Name the project and the service of a container, "" where it is of none."""
    return labels.get(PROJECT, ""), labels.get(SERVICE, "")


def is_oneoff(labels: Mapping[str, str]) -> bool:
    """Whether `compose run` made a container, which then is not its service's."""
    return labels.get(_ONEOFF) == "True"
