"""The files are followed however they change, and told once they stand still and are usable."""

from __future__ import annotations

import errno
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import product
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest

from reconciler.config.file_watch import FileEdits
from reconciler.config.source import FileSource
from reconciler.fakes.catalog import FakeCatalog
from reconciler.model.target import Wanted
from tests.repository import git, repository
from tests.told import DESIRED, Told, follow

INVENTORY = "version: 1\nmodels:\n  a: {engine: fake}\n  b: {engine: fake}\n"
STORM = 200
UNSTARVED_SECONDS = 10.0
"""What is read within 2 s may be told so late on a machine that is itself busy; a watch that
starves is never told."""


@pytest.fixture
def told(tmp_path: Path) -> Told:
    made = Told(tmp_path / "state")
    made.folder.mkdir()
    (made.folder / "inventory.yaml").write_text(INVENTORY)
    made.desire("a")
    return made


def test_a_file_that_takes_the_name_and_one_that_is_written_in_place_are_told(told: Told) -> None:
    async def script(_: FileEdits) -> None:
        told.desire("b")
        await told.is_active("b")
        (told.folder / "desired.yaml").write_text(DESIRED.format(active="a"))
        await told.is_active("a")

    follow(told, script)
    assert told.told == ["a", "b", "a"]


def test_what_cannot_be_used_is_told_once_it_has_stood_and_not_when_it_is_fixed_at_once(
    told: Told,
) -> None:
    async def script(_: FileEdits) -> None:
        told.desire("nobody")
        told.desire("b")
        await told.is_active("b")
        told.desire("nobody")
        await told.becomes(lambda said: said.startswith("ConfigError: "))
        told.desire("a")
        await told.is_active("a")

    follow(told, script)
    assert len(told.told) == 4


def test_nothing_is_told_while_git_is_half_way(told: Told) -> None:
    repository(told.folder)

    async def script(_: FileEdits) -> None:
        lock = told.folder / ".git" / "index.lock"
        lock.touch()
        told.desire("b")
        await told.becomes(
            lambda said: said.startswith("waiting: git is in the middle of writing its index")
        )
        assert "b" not in told.told
        lock.unlink()
        await told.is_active("b")

    follow(told, script)


def test_a_commit_of_what_is_there_already_is_told(told: Told) -> None:
    repository(told.folder)

    async def script(_: FileEdits) -> None:
        told.desire("b")
        await told.is_active("b")
        before = len(told.told)
        git(told.folder, "commit", "-qam", "Run the other model")
        await told.until(lambda: len(told.told) > before)

    follow(told, script)


def test_files_behind_links_are_followed_where_they_are_and_when_the_link_moves(told: Told) -> None:
    for name in ("one", "two"):
        (told.folder.parent / name).mkdir()
        (told.folder.parent / name / "desired.yaml").write_text(DESIRED.format(active="a"))
    link = told.folder / "desired.yaml"
    link.unlink()
    link.symlink_to("../one/desired.yaml")

    async def script(_: FileEdits) -> None:
        (told.folder.parent / "one" / "desired.yaml").write_text(DESIRED.format(active="b"))
        await told.is_active("b")
        beside = told.folder / "beside"
        beside.symlink_to("../two/desired.yaml")
        beside.replace(link)
        await told.is_active("a")

    follow(told, script)


def test_a_folder_behind_a_link_is_followed_where_the_link_moves(told: Told) -> None:
    """As releases are put in place: `current` leads to a folder of both files, then to the next."""
    current, first = told.folder, told.folder.with_name("1")
    told.folder.rename(first)
    current.symlink_to(first.name)
    second = told.folder.with_name("2")
    shutil.copytree(first, second)
    (second / "desired.yaml").write_text(DESIRED.format(active="b"))

    async def script(_: FileEdits) -> None:
        beside = current.with_name("next")
        beside.symlink_to(second.name)
        beside.replace(current)
        await told.is_active("b")
        shutil.rmtree(first)
        told.desire("a")
        await told.is_active("a")

    follow(told, script)


def test_edits_are_found_where_the_kernel_watches_no_more_folders(
    told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none_left(*_: object, **__: object) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    async def script(_: FileEdits) -> None:
        told.desire("b")
        await told.is_active("b")

    monkeypatch.setattr("reconciler.config.file_watch.awatch", none_left)
    follow(told, script)


def test_a_folder_that_goes_and_comes_back_is_followed_again(told: Told) -> None:
    async def script(_: FileEdits) -> None:
        away = told.folder.with_name("away")
        told.folder.rename(away)
        await told.becomes(lambda said: "is not a directory" in said)
        shutil.copytree(away, told.folder)
        await told.is_active("a")
        told.desire("b")
        await told.is_active("b")

    follow(told, script)


def test_a_question_has_the_files_read_again(told: Told) -> None:
    async def script(edits: FileEdits) -> None:
        edits.look()
        await told.until(lambda: len(told.told) == 2)

    follow(told, script)
    assert told.told == ["a", "a"]


def test_something_that_happens_in_the_folder_of_the_journal_stirs_and_reads_nothing(
    told: Told,
) -> None:
    async def script(_: FileEdits) -> None:
        before = told.heard
        (told.folder.parent / "journal.sqlite-wal").write_text("a row")
        await told.until(lambda: told.heard > before)

    follow(told, script)
    assert told.told == ["a"]


def test_who_asks_while_something_is_wrong_has_it_read_again_at_once(told: Told) -> None:
    async def script(edits: FileEdits) -> None:
        told.desire("nobody")
        await told.happens()
        edits.look()
        await told.becomes(lambda said: said.startswith("ConfigError: "))

    follow(told, script)


def test_what_is_wrong_or_half_way_for_a_moment_is_not_worth_a_word(told: Told) -> None:
    repository(told.folder)

    async def script(_: FileEdits) -> None:
        told.desire("nobody")
        await told.happens()
        told.desire("b")
        await told.is_active("b")
        lock = told.folder / ".git" / "index.lock"
        lock.touch()
        for name in ("a", "b"):
            told.desire(name)
            await told.happens()
        lock.unlink()
        told.desire("a")
        await told.is_active("a")

    follow(told, script)
    assert set(told.told) == {"a", "b"}


def test_files_that_are_written_on_and_on_are_read_when_they_stand_still(told: Told) -> None:
    async def script(_: FileEdits) -> None:
        for number in range(STORM):
            told.desire("ab"[number % 2])
            await anyio.sleep(0.01)
        told.desire("b")
        await told.is_active("b")

    follow(told, script)
    assert len(told.told) < STORM / 10
    assert told.told[-1] == "b"


@asynccontextmanager
async def steadily(
    save: Callable[[str, object], None], wish: list[str], pause: float
) -> AsyncIterator[None]:
    """Save the last wish again and again, always a little different, while the context lasts."""

    async def saving() -> None:
        number = 0
        while True:
            save(wish[-1], number)
            number += 1
            await anyio.sleep(pause)

    async with anyio.create_task_group() as group:
        group.start_soon(saving)
        yield
        group.cancel_scope.cancel()


@pytest.mark.parametrize(
    ("way", "pause"), [*product(("desire", "overwrite"), (0.01, 0.2)), ("commit", 0.1)]
)
def test_constant_writing_starves_no_watch(told: Told, way: str, pause: float) -> None:
    if way == "commit":
        repository(told.folder)

    async def script(_: FileEdits) -> None:
        wish = ["a"]
        async with steadily(getattr(told, way), wish, pause):
            for name in ("b", "a"):
                await told.until(lambda: edits_grew_patient(told))
                wish.append(name)
                with anyio.fail_after(UNSTARVED_SECONDS):
                    await told.is_active(name)

    follow(told, script)


def edits_grew_patient(told: Told) -> bool:
    """Return whether the storm was noticed: the first reads of it come at once, and each later."""
    return len(told.told) > 3


def test_who_keeps_writing_what_cannot_be_used_is_told_so(told: Told) -> None:
    async def script(_: FileEdits) -> None:
        async with steadily(told.desire, ["nobody"], 0.1):
            with anyio.fail_after(UNSTARVED_SECONDS):
                await told.becomes(lambda said: said.startswith("ConfigError: "))

    follow(told, script)


def test_a_touch_or_the_same_content_in_another_file_is_no_edit_and_delays_none(told: Told) -> None:
    async def script(_: FileEdits) -> None:
        async with steadily(told.touch, ["a"], 0.01):
            told.desire("b")
            with anyio.fail_after(UNSTARVED_SECONDS):
                await told.is_active("b")
            await told.happens()
            told.desire("b")
            await told.happens()

    follow(told, script)
    assert told.told == ["a", "b"]


def test_a_link_that_moves_to_a_file_that_holds_the_same_is_followed_there(told: Told) -> None:
    for name in ("one", "two"):
        (told.folder.parent / name).mkdir()
        (told.folder.parent / name / "desired.yaml").write_text(DESIRED.format(active="a"))
    link = told.folder / "desired.yaml"
    link.unlink()
    link.symlink_to("../one/desired.yaml")

    async def script(_: FileEdits) -> None:
        beside = told.folder / "beside"
        beside.symlink_to("../two/desired.yaml")
        beside.replace(link)
        await told.until(lambda: len(told.told) > 1)
        (told.folder.parent / "two" / "desired.yaml").write_text(DESIRED.format(active="b"))
        await told.is_active("b")

    follow(told, script)
    assert told.told == ["a", "a", "b"]


class Restless(FileSource):
    """A pair whose wish changes while it is read, from the second time on for a while."""

    told: Told
    left = -1

    def read(self) -> Wanted:
        self.left -= 1
        if self.left < 0:
            return super().read()
        self.told.desire("b")
        try:
            return super().read()
        finally:
            self.told.desire("a")


def test_what_is_another_wish_only_while_it_is_read_is_not_what_is_told_last(told: Told) -> None:
    source = Restless(told.folder, FakeCatalog())
    source.told = told

    async def script(edits: FileEdits) -> None:
        source.left = 2
        edits.look()
        await told.until(lambda: "b" in told.told)
        await told.is_active("a")

    follow(told, script, source)
    assert told.told[0] == told.told[-1] == "a"


def test_what_is_wrong_only_while_it_is_read_is_not_complained_of(told: Told) -> None:
    source = Restless(told.folder, FakeCatalog())
    source.told = told

    async def script(edits: FileEdits) -> None:
        (told.folder / "inventory.yaml").write_text(INVENTORY.replace("  b:", "  c:"))
        await told.happens()
        before, source.left = len(told.told), 1
        edits.look()
        await told.until(lambda: len(told.told) > before)

    follow(told, script, source)
    assert set(told.told) == {"a"}
