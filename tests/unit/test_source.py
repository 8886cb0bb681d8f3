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
        'engine: {kind: fake, context: "4096"}, port: "18110", gpus: ["1"], vram: "44",'
        ' stable_for: "3"'
    )
    inventory = f'version: "1"\nmodels: {{small: {{{keys}}}}}'
    small = wanted(tmp_path, inventory=inventory).slices["local"].model("small")
    assert small is not None
    assert (small.engine.options["context"], small.port, small.gpus) == (4096, 18110, (1,))
    assert (small.vram_bytes, small.stable_for) == (44, 3.0)


BY_NAME = "expected a mapping from names to what they are, such as `NAME: {...}`, without dashes"
BY_KEY = "expected a mapping, `KEY: VALUE` on each line, without dashes"
PREPARED = "version: 1\nhosts:\n  box:\n    prepare: {}\nmodels: {{small: {{engine: fake}}}}"


@pytest.mark.parametrize(
    ("inventory", "lines"),
    [
        (
            "version: 1\nmodels: [a]",
            [f"inventory.yaml:2:9: models: found a list, {BY_NAME}"],
        ),
        ("version: 1\nmodels: 3", [f"inventory.yaml:2:9: models: found 3, {BY_NAME}"]),
        (
            "version: 1\nmodels:\n",
            [
                f"inventory.yaml:3:1: models: found nothing, {BY_NAME}; is what belongs to it"
                " indented?"
            ],
        ),
        (
            "version: 1\nhosts:\n  - name: box\nmodels: {a: [x]}",
            [
                f"inventory.yaml:3:3: hosts: found a list, {BY_NAME}",
                f"inventory.yaml:4:13: models.a: found a list, {BY_KEY}",
            ],
        ),
        (
            "version: 1\nhosts: {}\nmodels: {small: {engine: fake}}",
            ["inventory.yaml:2:8: hosts: has 0 entries, expected 1 or more"],
        ),
        (
            PREPARED.format("{run: [[./x]]}"),
            [
                'inventory.yaml:4:21: hosts.box.prepare.run.0: found the program "./x", '
                "expected a name on the PATH or a path that begins with /"
            ],
        ),
        (
            PREPARED.format("{remedies: [[a]]}"),
            ["inventory.yaml:4:14: hosts.box.prepare: give `run`, `check` or both"],
        ),
        (
            PREPARED.format("{run: [[a]], remedies: [[a]]}"),
            [
                "inventory.yaml:4:14: hosts.box.prepare: `remedies` are for what `check` finds:"
                " give it too"
            ],
        ),
        ("- 1", [f"inventory.yaml:1:1: found a list, {BY_KEY}"]),
        (
            "version: 1\nmodels:\n  small: {engin: fake}",
            [
                (
                    "inventory.yaml:3:3: models.small.engine: is missing; expected: The inference"
                    " program and its options."
                ),
                'inventory.yaml:3:11: models.small.engin: unknown key; did you mean "engine"?',
            ],
        ),
        (
            "version: 1\nmodels:\n  small: {engine: fake, port: 99999}",
            [
                "inventory.yaml:3:31: models.small.port: found 99999, expected a number less than"
                " or equal to 65535"
            ],
        ),
        (
            "version: 1\nmodels:\n  small: {engine: fake, task: caht, serves: [3]}",
            [
                (
                    "inventory.yaml:3:31: models.small.task: found \"caht\", expected 'chat',"
                    " 'completion', 'embedding' or 'rerank'"
                ),
                "inventory.yaml:3:45: models.small.serves: found a list, expected text",
            ],
        ),
        (
            "version: 1\nmodels:\n  Big One: {engine: fake}\n  small: {engine: fake}",
            [
                'inventory.yaml:3:3: models.Big One: found "Big One", expected up to 63 lower case'
                " letters, digits, dots, dashes and underscores, with a letter or digit at both"
                " ends"
            ],
        ),
        (
            "version: 1\nmodels:\n  small: {engine: vllm}",
            [
                'inventory.yaml:3:19: models.small.engine: found "vllm", which is not in this'
                " version, expected fake or strict"
            ],
        ),
        (
            "version: 1\nmodels:\n  small: {engine: {kind: fak}, launcher: docker}",
            [
                (
                    'inventory.yaml:3:26: models.small.engine.kind: found "fak", expected fake or'
                    ' strict; did you mean "fake"?'
                ),
                (
                    'inventory.yaml:3:42: models.small.launcher: found "docker", which is not in'
                    " this version, expected fake or process"
                ),
            ],
        ),
        (
            "version: 1\nmodels:\n  small: {engine: strict}",
            [
                "inventory.yaml:3:11: models.small.engine.weights: is missing; expected: The"
                " weights file."
            ],
        ),
        (
            "version: 1\nmodels:\n  small: {engine: {kind: fake, contxt: 1, args: 3}}",
            [
                (
                    "inventory.yaml:3:32: models.small.engine.contxt: unknown key; did you mean"
                    ' "context"?'
                ),
                "inventory.yaml:3:49: models.small.engine.args: found 3, expected a list",
            ],
        ),
        (
            (
                "version: 1\nhosts:\n  a: {power: {kind: fake, password: hunter2}, engines: {fake:"
                " {context: no}, vlm: {}}}\nmodels: {small: {engine: fake}, large: {engine: fake}}"
            ),
            [
                (
                    "inventory.yaml:3:37: hosts.a.power.password: found a value, expected "
                    "where the secret is, such as `{from_file: /path}`"
                ),
                (
                    'inventory.yaml:3:73: hosts.a.engines.fake.context: found "no", expected a'
                    " whole number"
                ),
                'inventory.yaml:3:78: hosts.a.engines.vlm: found "vlm", expected fake or strict',
            ],
        ),
        (
            (
                "version: 1\nmodels:\n  small: {engine: {kind: picky, mode: 3}, launcher: {scope:"
                " user}}"
            ),
            [
                (
                    'inventory.yaml:3:26: models.small.engine.kind: found "picky", expected fake or'
                    " strict"
                ),
                (
                    "inventory.yaml:3:53: models.small.launcher: found a mapping, expected the name"
                    " of a driver, or a mapping with `kind` and its options"
                ),
            ],
        ),
        (
            "version: 1\nmodels:\n  small: {engine: {kind: fake, args: [--port, x]}}",
            ["inventory.yaml:3:38: models.small.engine.args: --port is set by the key port"],
        ),
        (
            (
                "version: 1\nmodels:\n  small: {engine: fake, launcher: {kind: fake, limits: [{},"
                " {cors: 1}]}}"
            ),
            [
                "inventory.yaml:3:57: models.small.launcher.limits.0.cores: is missing",
                "inventory.yaml:3:61: models.small.launcher.limits.1.cores: is missing",
                (
                    "inventory.yaml:3:62: models.small.launcher.limits.1.cors: unknown key; did you"
                    ' mean "cores"?'
                ),
            ],
        ),
        (
            (
                "version: 1\nmodels:\n  small: {engine: fake, launcher: {kind: fake, total: {cors:"
                " 1, cores: 1}}}"
            ),
            [
                "inventory.yaml:3:56: models.small.launcher.total.cors: unknown key; did you mean"
                ' "cores"?'
            ],
        ),
        (
            'version: 1\nmodels:\n  small: {engine: fake}\n  "\\e[31m": {engine: fake}',
            [
                'inventory.yaml:4:3: models.\\x1b[31m: found "\\u001b[31m", expected up to 63 lower'
                " case letters, digits, dots, dashes and underscores, with a letter or digit at"
                " both ends"
            ],
        ),
    ],
)
def test_every_problem_of_the_inventory_has_its_place(
    tmp_path: Path, inventory: str, lines: list[str]
) -> None:
    assert problems(tmp_path, inventory=inventory) == lines


def test_a_secret_in_the_file_is_not_repeated(tmp_path: Path) -> None:
    inventory = "version: 1\nhosts: {a: {power: {kind: fake, password: hunter2}}}\nmodels: {}"
    lines = problems(tmp_path, "version: 1", inventory)
    assert {line.split(": ")[0] for line in lines} == {"inventory.yaml:2:43"}
    assert "hunter2" not in " ".join(lines)


def test_no_branch_of_a_choice_is_hidden(tmp_path: Path) -> None:
    inventory = "version: 1\nhosts: {a: {power: {kind: fake, password: {from_fil: x}}}}\nmodels: {}"
    lines = problems(tmp_path, "version: 1", inventory)
    assert [line.rpartition("password.")[2] for line in lines if "is missing" in line] == [
        "FakeFromFile.from_file: is missing", "FromEnvironment.from_env: is missing"
    ]  # fmt: skip


def test_problems_of_both_files_and_of_drivers_come_together(tmp_path: Path) -> None:
    inventory = "version: 1\nmodels:\n  small: {engine: {kind: fake, context: x}, prot: 1}\n"
    assert problems(tmp_path, "version: 1\nactiv: small\nactive: smal\n", inventory) == [
        'desired.yaml:2:1: activ: unknown key; did you mean "active"?',
        'desired.yaml:3:9: active: found "smal", expected a model of local; did you mean "small"?',
        'inventory.yaml:3:41: models.small.engine.context: found "x", expected a whole number',
        'inventory.yaml:3:45: models.small.prot: unknown key; did you mean "port"?',
    ]


def test_broken_text_does_not_hide_the_other_file(tmp_path: Path) -> None:
    lines = problems(tmp_path, "a: [", "version: 1\nmodels: {small: {engine: nothing}}")
    assert [line.split(":")[0] for line in lines] == ["desired.yaml", "inventory.yaml"]


def test_a_host_that_is_wrong_makes_no_other_host_unknown(tmp_path: Path) -> None:
    inventory = "version: 1\nhosts: {a: 3, b: {}}\nmodels: {small: {host: a, engine: strict}}\n"
    lines = problems(tmp_path, "version: 1\nhosts: {a: {active: small}}", inventory)
    assert lines == [f"inventory.yaml:2:12: hosts.a: found 3, {BY_KEY}"]


def test_a_host_that_cannot_be_read_is_not_missing_too(tmp_path: Path) -> None:
    inventory = "version: 1\nhosts: {a: {}, b: {}}\nmodels: {small: {host: [7], engine: fake}}\n"
    lines = problems(tmp_path, "version: 1\nhosts: {a: {active: small}}", inventory)
    assert lines == ["inventory.yaml:3:24: models.small.host: found a list, expected text"]


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


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ('"2"', 'found "2", expected 1, the only version that this reconciler reads'),
        ("2", "found 2, expected 1, the only version that this reconciler reads"),
        ("on", 'found "on", expected 1, the only version that this reconciler reads'),
    ],
)
def test_another_version_is_said_so_that_it_can_be_mended(
    tmp_path: Path, written: str, said: str
) -> None:
    assert problems(tmp_path, f"version: {written}\nactive: small\n") == [
        f"desired.yaml:1:10: version: {said}"
    ]


@pytest.mark.parametrize(
    ("written", "meant"),
    [("64k", "; write 65536"), ("1M", "; write 1048576"), ("1.5", ""), ("4 GiB", "")],
)
def test_a_number_with_a_unit_is_no_whole_number(tmp_path: Path, written: str, meant: str) -> None:
    inventory = f"version: 1\nmodels:\n  small: {{engine: {{kind: fake, context: '{written}'}}}}\n"
    (line,) = problems(tmp_path, "version: 1\nactive: small\n", inventory)
    assert line.endswith(f'context: found "{written}", expected a whole number{meant}')


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
    """Have its files replaced once, at the moment when the first of them has just been looked for."""

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
