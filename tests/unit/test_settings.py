"""Where things are kept has a name that can be written down, whatever the surroundings say."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.app import build
from reconciler.errors import Unreachable
from reconciler.settings import settings


@pytest.mark.parametrize(
    ("environment", "given", "found"),
    [
        (
            {"RECONCILER_DATA": "/d\udcff"},
            None,
            r"the data directory is /d\xff, expected a name in UTF-8; .* --data or RECONCILER_DATA",
        ),
        ({}, "/d\udcfe", r"the data directory is /d\xfe, "),
        (
            {"XDG_STATE_HOME": "/x\udcff", "RECONCILER_DATA": "/d"},
            None,
            r"is /x\xff, expected .* with XDG_STATE_HOME",
        ),
        ({"HOME": "/h\udcff"}, "/d", r"is /h\xff/.local/state, expected"),
    ],
)
def test_a_place_whose_name_is_no_text_is_refused_before_anything_is_done(
    environment: dict[str, str], given: str | None, found: str
) -> None:
    with pytest.raises(Unreachable, match=found.replace("\\x", "\\\\x")) as refused:
        settings(environment, None, given)
    assert refused.value.exit_code == 1


def test_a_relative_place_seen_from_a_directory_that_is_gone_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    with pytest.raises(Unreachable, match="the directory where this was started is gone"):
        settings({"HOME": "/h"}, None, "data")


@pytest.mark.parametrize("name", ["a?b", "a#b", "a%41b", "a b", "a\nb", "ä"])
def test_a_journal_is_read_and_written_whatever_its_folder_is_called(
    tmp_path: Path, name: str
) -> None:
    app = build(settings({"HOME": str(tmp_path)}, None, str(tmp_path / name)))
    assert app.run(app.journal.since, 0) == ()
    assert app.run(app.journal.newest) == 0


def test_a_directory_of_the_journal_that_leads_to_itself_is_still_somebody(tmp_path: Path) -> None:
    loop = tmp_path / "loop"
    loop.symlink_to("loop")
    assert build(settings({"HOME": str(tmp_path)}, None, str(loop))).controller.former
