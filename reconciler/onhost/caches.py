"""Caches of downloaded models: where an environment puts them, and what a blob in one is called."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

FOLDERS_LIMIT = 1000

_NAMED = ("LLAMA_CACHE", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HOME")
"""What names a cache: common/common.cpp of llama.cpp, and huggingface_hub's page on environment
variables."""

_BELOW = ("llama.cpp", "huggingface/hub")
_BLOB = re.compile(r"(.*)/blobs/[0-9a-f]{40,64}")


def folders(environment: Mapping[str, str]) -> list[str]:
    """List the folders in which a program with this environment keeps downloads, there or not."""
    named = [environment.get(name, "") for name in _NAMED]
    usual = [os.path.join(_home(environment), name) for name in _BELOW]
    # A relative path would be looked up in our folder, and was meant for that program's.
    return [path for path in (*named, *usual) if os.path.isabs(path)]


def _home(environment: Mapping[str, str]) -> str:
    """Find where programs keep caches: the XDG base directory specification."""
    named = environment.get("XDG_CACHE_HOME")
    return named or os.path.join(environment.get("HOME", ""), ".cache")


def is_blob(path: str) -> bool:
    """Whether a cache of the Hub calls a file by its digest."""
    return _BLOB.fullmatch(path) is not None


def named(path: str) -> str:
    """Find the link with a name under which a repository of the Hub shows a blob.

    Any other path stays as it is.
    """
    blob = _BLOB.fullmatch(path)
    links = _links(f"{blob[1]}/snapshots") if blob else ()
    file = os.path.realpath(path)
    return min((link for link in links if os.path.realpath(link) == file), default=path)


def _links(folder: str) -> Iterator[str]:
    """Yield the GGUF files of all revisions of a repository, as far as the limit goes."""
    for _, (place, _, names) in zip(range(FOLDERS_LIMIT), os.walk(folder)):
        yield from (f"{place}/{name}" for name in names if name.endswith(".gguf"))
