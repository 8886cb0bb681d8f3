"""Both files as they are read: shared blocks, numbers as typed, links, folders, provenance."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pytest

from reconciler.config.source import LARGEST, FileSource
from reconciler.core.canonical import digest
from reconciler.drivers import DriverCatalog
from reconciler.edge.clock import SystemClock
from reconciler.errors import ConfigError
from reconciler.fakes.catalog import FakeCatalog
from reconciler.model.explanation import Written
from reconciler.model.target import Provenance
from tests.pairs import DESIRED, INVENTORY, problems, source, wanted

if TYPE_CHECKING:
    from reconciler.model.problem import FileName

STATE = Path(__file__).parents[2] / "state"


@pytest.mark.parametrize(
    "directory", [STATE, *sorted((STATE / "examples").iterdir())], ids=lambda path: path.name
)
def test_the_files_that_come_with_the_project_are_right(directory: Path) -> None:
    assert FileSource(directory, DriverCatalog("", SystemClock())).read().slices


def test_positions_hold_with_line_ends_of_other_systems(tmp_path: Path) -> None:
    (line,) = problems(tmp_path, "version: 1\r\nactive: smal\r\n")
    assert line.startswith("desired.yaml:2:9: active")


SHARED = """\
version: 1
x-defaults: &eng
  kind: fake
  context: {context}
  args: &fast ["-ngl", 99]
x-one: &one {{engine: *eng, stable_for: 5s}}
models:
  small: {{<<: *one, port: 18110}}
  large: {{engine: {{<<: *eng, kind: strict, weights: /w, args: {args}}}}}
"""


def test_an_engine_of_several_models_is_written_once(tmp_path: Path) -> None:
    slice_ = wanted(
        tmp_path, "version: 1\nx-mine: 1\nactive: small\n", SHARED.format(context=100, args="*fast")
    ).slices["local"]
    small, large = slice_.model("small"), slice_.model("large")
    assert small is not None
    assert large is not None
    assert (small.port, small.stable_for, small.engine.options["context"]) == (18110, 5.0, 100)
    assert (large.engine.options["weights"], large.engine.options["args"]) == ("/w", ["-ngl", "99"])


def test_a_fault_of_a_shared_block_is_shown_where_it_is_written_and_one_of_its_use_where_it_is_used(
    tmp_path: Path,
) -> None:
    assert problems(tmp_path, inventory=SHARED.format(context="x", args='[*fast, "--jinja"]')) == [
        'inventory.yaml:4:12: models.large.engine.context: found "x", expected a whole number',
        'inventory.yaml:4:12: models.small.engine.context: found "x", expected a whole number',
        (
            "inventory.yaml:9:64: models.large.engine.args.0: found a list in a list, expected"
            " text; YAML joins no lists: write its words out here"
        ),
    ]


def test_where_a_shared_key_is_written_can_be_asked(tmp_path: Path) -> None:
    written = source(tmp_path, inventory=SHARED.format(context=7, args="[]")).written()
    assert written["inventory", ("models", "small", "engine", "context")] == Written(
        7, f"{tmp_path}/inventory.yaml:4"
    )
    assert not any("<<" in path for _, path in written)


TYPED = ["99", "0.6", ".95", "1e-3", "0x10", "-1", "007", "true", "True", "on", "1.10", "'8'"]


def test_numbers_among_words_are_taken_as_they_were_typed(tmp_path: Path) -> None:
    shared = f"hosts: {{local: {{engines: {{fake: {{args: [{', '.join(TYPED)}]}}}}}}}}"
    inventory = f"version: 1\n{shared}\nmodels: {{small: {{engine: fake}}}}"
    small = wanted(tmp_path, inventory=inventory).slices["local"].model("small")
    assert small is not None
    assert small.engine.options["args"] == [*TYPED[:-1], "8"]


def test_numbers_are_text_wherever_text_is_expected_and_hide_nothing_that_is_wrong_beside_them(
    tmp_path: Path,
) -> None:
    inventory = "version: 1\ndescription: 2026\nmodels:\n  small: {engine: fake, serves: 4.20}\n"
    small = wanted(tmp_path, inventory=inventory).slices["local"].model("small")
    assert small is not None
    assert small.serves == "4.20"
    lines = problems(
        tmp_path, "version: 1\nactive: smal\n", f"{inventory}  large: {{engine: fake, prot: 1}}\n"
    )
    assert [line.partition(": ")[0] for line in lines] == [
        "desired.yaml:2:9",
        "inventory.yaml:5:25",
    ]


def test_nothing_among_words_is_no_word(tmp_path: Path) -> None:
    (line,) = problems(
        tmp_path, inventory="version: 1\nmodels:\n  small: {engine: {kind: fake, args: [1, ~]}}"
    )
    assert line == "inventory.yaml:3:42: models.small.engine.args.1: found nothing, expected text"


def test_numbers_in_quotes_are_numbers_everywhere(tmp_path: Path) -> None:
    keys = (
        'engine: {kind: fake, context: "4096"}, port: "18110", gpus: ["1"], vram: "44040192",'
        ' stable_for: "3"'
    )
    inventory = f'version: "1"\nmodels: {{small: {{{keys}}}}}'
    small = wanted(tmp_path, inventory=inventory).slices["local"].model("small")
    assert small is not None
    assert (small.engine.options["context"], small.port, small.gpus) == (4096, 18110, (1,))
    assert (small.vram_bytes, small.stable_for) == (44040192, 3.0)


def test_missing_files_are_both_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        FileSource(tmp_path, FakeCatalog()).read()
    assert [line.split(": ")[1].split(";")[0] for line in caught.value.message.splitlines()] == [
        "not found",
        "not found",
    ]


@pytest.mark.parametrize("name", ["missing", "file"])
def test_a_state_directory_that_is_none_is_named_once(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError) as caught:
        FileSource(tmp_path / name, FakeCatalog()).read()
    found, _, hint = caught.value.message.partition("; ")
    assert found == f"{tmp_path / name} is not a directory"
    assert hint.startswith("name the one that holds both files with --state or RECONCILER_STATE")
    assert (f"; `reconciler init {tmp_path / name}` writes both" in hint) is (name == "missing")


def test_who_stands_where_both_files_lie_is_told_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for file in ("desired", "inventory"):
        (tmp_path / f"{file}.yaml").write_text("version: 1\n")
    with pytest.raises(
        ConfigError, match=r"both files lie here: name this directory with `--state \.`"
    ):
        FileSource(Path("state"), FakeCatalog()).read()


@pytest.mark.parametrize("what", ["pipe", "directory", "large", "loop"])
def test_what_is_not_a_small_file_is_refused(tmp_path: Path, what: str) -> None:
    reader = source(tmp_path)
    path = reader.path("desired")
    path.unlink()
    if what == "pipe":
        os.mkfifo(path)
    elif what == "directory":
        path.mkdir()
    elif what == "loop":
        path.symlink_to(path)
    else:
        path.write_bytes(b"#" * (LARGEST + 1))
    with pytest.raises(
        ConfigError,
        match="regular file|larger than 1 MiB|expected a file|let the link name the file itself",
    ):
        reader.read()


def test_links_are_followed(tmp_path: Path) -> None:
    reader = source(tmp_path)
    elsewhere = tmp_path / "elsewhere.yaml"
    reader.path("desired").rename(elsewhere)
    reader.path("desired").symlink_to(elsewhere)
    assert reader.read().slices["local"].active == ("small",)


@pytest.mark.parametrize(
    ("state", "commit", "phrase"),
    [
        ("committed", "1234567890", "desired 1234567 (committed, clean)"),
        ("modified", "1234567890", "desired 1234567 + uncommitted changes (modified)"),
        ("not in git", "", "desired abcdef0 (not in git)"),
    ],
)
def test_provenance_reads_as_a_phrase(
    state: Literal["committed", "modified", "not in git"], commit: str, phrase: str
) -> None:
    assert str(Provenance(digest="v1:sha256:abcdef0123", state=state, commit=commit)) == phrase


def test_provenance_tells_the_bytes_apart(tmp_path: Path) -> None:
    before = wanted(tmp_path).provenance
    after = wanted(tmp_path, DESIRED + "# a remark\n").provenance
    assert (before.state, before.digest != after.digest) == ("not in git", True)
    read = {
        "desired": hashlib.sha256(DESIRED.encode()).hexdigest(),
        "inventory": hashlib.sha256(INVENTORY.encode()).hexdigest(),
    }
    assert before.digest == digest(read)


class Restless(FileSource):
    """Files that are replaced once, just after the first of them has been looked for."""

    replaced = 0

    def path(self, file: FileName) -> Path:
        path = super().path(file)
        if file == "inventory" and self.replaced == 1:
            super().path("desired").write_text("version: 1\nactive: []\n")
        self.replaced += file == "inventory"
        return path


def test_a_file_that_changes_meanwhile_is_read_again(tmp_path: Path) -> None:
    source(tmp_path)
    assert Restless(tmp_path, FakeCatalog()).read().slices["local"].active == ()


def test_a_directory_that_cannot_be_looked_at_is_said_as_such(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: File name too long"):
        FileSource(tmp_path / ("x" * 300), FakeCatalog()).read()


def test_a_model_is_proposed_where_its_host_is_written_among_several(tmp_path: Path) -> None:
    desired = "version: 1\nhosts:\n  box: {active: small}\n  nuc: {}\n"
    inventory = (
        "version: 1\nhosts: {box: , nuc: }\nmodels:\n  small: {host: box, engine: fake}\n"
        "  large: {host: box, engine: fake, port: 18111}\n"
    )
    proposal = source(tmp_path, desired, inventory).propose("large", None)
    assert (proposal.host, proposal.read().slices["box"].active) == ("box", ("large",))
