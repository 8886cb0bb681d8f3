"""Source: desired.yaml and inventory.yaml read as one pair, with every problem in its place."""

from __future__ import annotations

import errno
import hashlib
import os
import shlex
import stat
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from reconciler.config import definitions, git, yaml_edit
from reconciler.config.coherence import check
from reconciler.config.problems import Review
from reconciler.config.proposal import FileProposal
from reconciler.config.resolve import Definitions, resolve
from reconciler.config.yaml_builder import MERGE
from reconciler.config.yaml_positions import parse
from reconciler.core.canonical import digest
from reconciler.errors import ConfigError, Misused
from reconciler.model.desired import Desired
from reconciler.model.explanation import Written
from reconciler.model.inventory import Inventory
from reconciler.model.problem import nearest
from reconciler.model.reason import Reason
from reconciler.model.target import Provenance, Wanted

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pydantic import JsonValue

    from reconciler.model.desired import ApplyFrom
    from reconciler.model.names import Digest
    from reconciler.model.problem import FileName, KeyPath
    from reconciler.ports import OptionsCatalog

LARGEST = 2**20
"""Bytes that a file may have."""

_UNCOMMITTED = {
    "not in git": (
        "no git repository answers for both files",
        "commit desired.yaml and inventory.yaml, or write `saved` there",
    ),
    "untracked": (
        "git has no commit of desired.yaml and inventory.yaml",
        "add and commit both",
    ),
    "modified": (
        "desired.yaml or inventory.yaml is not as in commit {commit}",
        "commit what changed, or check it out again",
    ),
}
_UNSIGNED = (
    "git does not vouch for commit {commit}",
    (
        "sign it (`git commit -S`), or let git know whose signature it is: `git verify-commit"
        " {commit}` says why"
    ),
)

_WAYS_OUT = {
    errno.EACCES: (
        "; let the user that runs reconciler read it (chmod, chown), also the directories above it"
    ),
    errno.ELOOP: "; let the link name the file itself",
}

_FILES: tuple[FileName, FileName] = ("desired", "inventory")


class FileSource:
    """Both files of a state directory."""

    def __init__(self, directory: Path, catalog: OptionsCatalog) -> None:
        """Use a directory, and the drivers whose options the inventory may hold."""
        self._directory = directory
        self._catalog = catalog

    @property
    def directory(self) -> Path:
        """Where both files are."""
        return self._directory

    @property
    def paths(self) -> tuple[Path, ...]:
        """Where each file is."""
        return tuple(self.path(file) for file in _FILES)

    def path(self, file: FileName) -> Path:
        """Where one of both files is."""
        return self._directory / f"{file}.yaml"

    def read(self) -> Wanted:
        """Read both files as one resolved value; raise ConfigError with every problem of both."""
        return self._resolved(self._pair())

    def written(self) -> dict[tuple[FileName, KeyPath], Written]:
        """Look up what is written at every key of both files, as far as they can be read.

        Raise ConfigError without files.
        """
        keys: dict[tuple[FileName, KeyPath], Written] = {}
        for file, content in self._pair().items():
            document = parse(content)
            places = {path: at for path, at in document.keys.items() if MERGE not in path}
            for path, at in places.items():
                where = f"{self.path(file)}:{at.line}"
                keys[file, path] = Written(_at(document.value, path), where)
        return keys

    def propose(self, model_name: str, host: str | None) -> FileProposal:
        """Propose desired.yaml with this model as the active one of its host.

        Raise Misused, or ConfigError.
        """
        pair = self._pair()
        inventory = self._inventory(pair)
        name = _host_of(inventory, model_name, host)
        before = pair["desired"]
        after = yaml_edit.put(before, _place_of_active(before, inventory, name), model_name)
        resolved = partial(self._resolved, {**pair, "desired": after})
        return FileProposal(self.path("desired"), (model_name, name), before, after, resolved)

    def _inventory(self, pair: dict[FileName, bytes]) -> Inventory:
        """Read the inventory; raise ConfigError where that or the text of desired is wrong."""
        review = _review(pair)
        inventory, _ = review.fit("inventory", Inventory)
        lines = self._lines(review)
        if lines or inventory is None:
            raise ConfigError("\n".join(lines))
        return inventory

    def _resolved(self, pair: dict[FileName, bytes]) -> Wanted:
        review = _review(pair)
        desired, _ = review.fit("desired", Desired)
        inventory, is_whole = review.fit("inventory", Inventory)
        defined = self._defined(inventory, review)
        # Where a host or model is left out, what names it would be called wrong as well.
        if desired and inventory and is_whole:
            review.add(check(desired, inventory, defined))
        lines = self._lines(review)
        if lines or not (desired and inventory):
            raise ConfigError("\n".join(lines))
        return resolve(desired, inventory, defined, self._provenance(pair, desired.apply_from))

    def _defined(self, inventory: Inventory | None, review: Review) -> Definitions:
        if inventory is None:
            return Definitions({}, {})
        defined, problems = definitions.define(inventory, self._catalog, review.typed)
        review.add(problems)
        return defined

    def _lines(self, review: Review) -> list[str]:
        return review.lines({file: str(self.path(file)) for file in _FILES})

    def _pair(self) -> dict[FileName, bytes]:
        """Read both files, once more when either changed in the meantime."""
        # A checkout or an editor may be half way through the pair; a watch reads on at the next
        # event.
        before = self._identities()
        pair = self._contents()
        return pair if self._identities() == before else self._contents()

    def _identities(self) -> list[tuple[int, ...]]:
        return [_identity(path) for path in self.paths]

    def _contents(self) -> dict[FileName, bytes]:
        self._refuse_directory()
        contents: dict[FileName, bytes] = {}
        refused = []
        for file in _FILES:
            try:
                contents[file] = content_of(self.path(file))
            except OSError as error:
                refused.append(f"{self.path(file)}: {_refusal(error)}")
        if refused:
            raise ConfigError("\n".join(refused))
        return contents

    def _refuse_directory(self) -> None:
        # Where a directory above it may not be searched, isdir would only say no.
        try:
            self._directory.stat()
        except (FileNotFoundError, NotADirectoryError):
            pass
        except OSError as error:
            raise ConfigError(f"{self._directory} {_refusal(error)}") from error
        if not os.path.isdir(self._directory):
            raise ConfigError(f"{self._directory} is not a directory; {self._instead()}")

    def _instead(self) -> str:
        """Suggest what may have been meant by a directory that is none."""
        if all(os.path.isfile(f"{file}.yaml") for file in _FILES):
            return "both files lie here: name this directory with `--state .`"
        way_out = "name the one that holds both files with --state or RECONCILER_STATE"
        if os.path.exists(self._directory):
            return way_out
        return f"{way_out}; `reconciler init {shlex.quote(str(self._directory))}` writes both"

    def _provenance(self, pair: dict[FileName, bytes], apply_from: ApplyFrom) -> Provenance:
        traced = git.trace({self.path(file): pair[file] for file in _FILES})
        read = pair_digest(hashlib.sha256(pair[file]).hexdigest() for file in _FILES)
        unfinished = git.unfinished(self._directory)
        return Provenance(
            digest=read,
            state=traced.state,
            commit=traced.commit,
            author=traced.author,
            subject=traced.subject,
            trouble=unfinished or traced.trouble,
            objection=unfinished or self._objection(apply_from, traced),
        )

    def _objection(self, apply_from: ApplyFrom, traced: git.Trace) -> Reason:
        """Why the files must not be applied as `apply_from` asks; empty when they may be."""
        if apply_from == "saved":
            return Reason()
        found, fix = traced.trouble.found, traced.trouble.fix
        if not found and traced.state in _UNCOMMITTED:
            found, fix = _UNCOMMITTED[traced.state]
        elif not found and apply_from == "signed" and not self._is_signed(traced.commit):
            found, fix = _UNSIGNED
        commit = traced.commit[:7]
        found, fix = (text.format(commit=commit) for text in (found, fix))
        says = f"desired.yaml says `apply_from: {apply_from}`, but {found}"
        return Reason(says, fix) if found else Reason()

    def _is_signed(self, commit: str) -> bool:
        # The repository is that of the file itself, wherever a link to it lies.
        return git.is_signed(Path(os.path.realpath(self.path("desired"))).parent, commit)


def _review(pair: dict[FileName, bytes]) -> Review:
    return Review({file: parse(pair[file]) for file in _FILES})


def _place_of_active(content: bytes, inventory: Inventory, host_name: str) -> tuple[str, ...]:
    """Find the path in desired.yaml of what runs on a host, whether it is written yet or not."""
    wishes = parse(content).value
    if inventory.only_host is None or (isinstance(wishes, dict) and "hosts" in wishes):
        return ("hosts", host_name, "active")
    return ("active",)


def _host_of(inventory: Inventory, model_name: str, host: str | None) -> str:
    """Find the host of a model.

    Raise Misused with the nearest names, or the host that it is on.
    """
    model = inventory.models.get(model_name)
    if model is None:
        near = nearest(model_name, inventory.models)
        models = ", ".join(sorted(inventory.models)) or "none"
        raise Misused(f"the inventory has no model {model_name}; it has: {models}{near}")
    here = inventory.host_name_of(model)
    if host is not None and here is not None and host != here:
        raise Misused(f"{model_name} is a model of {here}, not of {host}; leave --host out")
    return here or host or ""


def _at(value: JsonValue, path: KeyPath) -> JsonValue:
    for part in path:
        value = value.get(str(part)) if isinstance(value, dict) else None
    return value


def _identity(path: Path) -> tuple[int, ...]:
    try:
        seen = path.stat()
    except OSError:
        return ()
    return seen.st_dev, seen.st_ino, seen.st_size, seen.st_mtime_ns


def pair_digest(contents: Iterable[str]) -> Digest:
    """What tells two pairs apart, from the SHA-256 of each file."""
    return digest(dict(zip(_FILES, contents, strict=True)))


def content_of(path: Path) -> bytes:
    """Read a file.

    Raise OSError for what is no file, or too large to be one of both.
    """
    if path.is_dir():
        raise OSError(errno.EISDIR, "it is a directory, expected a file")
    # Opening a pipe would otherwise wait until something writes into it.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "it is not a regular file")
        content = file.read(LARGEST + 1)
    if len(content) > LARGEST:
        raise OSError(
            errno.EFBIG, "it is larger than 1 MiB, expected a few kilobytes; is it the right file?"
        )
    return content


def _refusal(error: OSError) -> str:
    if error.errno == errno.ENOENT:
        return "not found; write it, or name the directory of both files with --state"
    return f"cannot be read: {error.strerror}{_WAYS_OUT.get(error.errno or 0, '')}"
