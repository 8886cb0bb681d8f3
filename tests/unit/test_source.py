from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pytest

from reconciler.core.canonical import digest
from reconciler.drivers import DriverCatalog
from reconciler.edge.clock import SystemClock
from reconciler.errors import ConfigError
from reconciler.fakes.catalog import FakeCatalog
from reconciler.model.target import Provenance
from reconciler.store.source import LARGEST, FileSource
from reconciler.store.yaml_positions import DEEPEST, MOST_ALIASES, MOST_VALUES, Place, parse, plain
from tests.pairs import DESIRED, INVENTORY, problems, source, wanted

if TYPE_CHECKING:
    from reconciler.model.problem import FileName

STATE = Path(__file__).parents[2] / "state"


@pytest.mark.parametrize("directory", [STATE, *sorted((STATE / "examples").iterdir())], ids=lambda path: path.name)
def test_the_files_that_come_with_the_project_are_right(directory: Path) -> None:
    assert FileSource(directory, DriverCatalog("", SystemClock())).read().slices


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("on", "on"), ("off", "off"), ("no", "no"), ("true", True), ("False", False), ("~", None), ("", None),
        ("null", None), ("12", 12), ("-3", -3), ("0o17", 15), ("0x1f", 31), ("010", 10), ("1.5", 1.5), (".5", 0.5),
        ("1e3", 1000.0), ("1e999", "1e999"), (".inf", ".inf"), (".nan", ".nan"), ("1_000", "1_000"), ("12:30", "12:30"),
        ("9" * 40, int("9" * 40)), ("9" * 41, 1e41), ("2026-01-01", "2026-01-01"), ("<<", "<<"),
    ],
)  # fmt: skip
def test_plain_words_mean_what_yaml_1_2_says(word: str, value: object) -> None:
    assert plain(word) == value
    assert type(plain(word)) is type(value)


def test_quoted_words_stay_words() -> None:
    assert parse(b"""{a: "1", b: 'true', c: "~"}""").value == {"a": "1", "b": "true", "c": "~"}


def test_a_version_directive_changes_no_word() -> None:
    assert parse(b"%YAML 1.1\n---\npower: on\n").value == {"power": "on"}


def test_every_key_and_value_knows_its_place() -> None:
    document = parse(b"a:\n  b: [x, {c: 1}]\n")
    assert document.place(("a", "b", 1, "c")) == Place(2, 14)
    assert document.place(("a", "b", 1, "c"), at_key=True) == Place(2, 11)
    assert document.place(("a", "b", 0), at_key=True) == Place(2, 7)
    assert document.place(("a", "b", 1, "missing"), at_key=True) == Place(2, 10)
    assert document.place(("nowhere",), at_key=True) == Place(1, 1)


@pytest.mark.parametrize("content", [b"\xef\xbb\xbfa: 1", b"a: 1\r\n", b"a: 1\r\n# end", b"--- \na: 1\n...\n"])
def test_marks_and_line_ends_of_other_systems_are_fine(content: bytes) -> None:
    assert (parse(content).value, parse(content).flaws) == ({"a": 1}, [])


def test_positions_hold_with_line_ends_of_other_systems(tmp_path: Path) -> None:
    (line,) = problems(tmp_path, "version: 1\r\nactive: smal\r\n")
    assert line.startswith("desired.yaml:2:9: active")


def test_aliases_stand_for_their_anchor() -> None:
    assert parse(b"{a: &x {k: [1]}, b: *x}").value == {"a": {"k": [1]}, "b": {"k": [1]}}


BOMB = b"a: &a [1]\nb: [" + b", ".join([b"*a"] * (MOST_ALIASES + 1)) + b"]\n"
DEEP = b"[" * (DEEPEST + 2) + b"]" * (DEEPEST + 2)


@pytest.mark.parametrize(
    ("content", "place", "said"),
    [
        (b"", (1, 1), "the file is empty"),
        (b"# only a comment\n", (1, 1), "the file is empty"),
        ("a: 1".encode("utf-16"), (1, 1), "is UTF-16; save it as UTF-8"),
        (b"a: 1\nb: \xe9", (2, 4), "found the byte 0xe9, which is not UTF-8"),
        (b"a:\n \tb: 1", (2, 2), "found a tab"),
        (b"a: [1,\n\t2]", (2, 1), "found a tab"),
        (b"a: 1\n<<<<<<< HEAD\nb: 1\n=======\nb: 2\n>>>>>>> other\n", (2, 1), "found <<<<<<<, which git leaves"),
        (b"a: 1\n=======\r\nb: 2\r\n", (2, 1), "found =======, which git leaves"),
        (b"a: 1\nb: \x07", (2, 4), "found the control character #x07"),
        (b"a: 1\nb: 'x", (2, 4), "this is not YAML: a text in quotes begins here and is never closed"),
        (b"a: 1\nb: [x\n", (2, 4), "this is not YAML: a list or mapping begins here and is never closed"),
        (b"a: 1\nb:x\n", (2, 1), "this is not YAML: expected `key: value` here, with a space after the colon"),
        (b"a: 1\n b: x\n", (2, 3), "this is not YAML: found `key:` where none can stand; check indentation and quotes"),
        (b"a:\n  b: 1\n c: 2\n", (3, 2), "this is not YAML: this does not fit what stands around it; check indentation"),
        (b"a: @x", (1, 4), "this is not YAML: found character '@'"),
        (b"%YAML 9.1\n---\na: 1", (1, 1), "this is not YAML: found incompatible YAML document"),
        (b"a: 1\n---\nb: 2", (2, 1), "found a second document"),
        (b"a: !secret b", (1, 4), "found the tag !secret, expected a plain value"),
        (b"a: !!python/object:os.system [x]", (1, 4), "expected a plain value"),
        (b"a: 1\na: 2", (2, 1), 'found "a" twice, first in line 1'),
        (b"? [a]\n: 1", (1, 3), "found a key that is not a word"),
        (b"{: 1}", (1, 3), "found a value without a key"),
        (b"a: *x", (1, 4), "found *x, but no &x is complete before it"),
        (b"a: &x [*x]", (1, 8), "found *x, but no &x is complete before it"),
        (b"a: &x 1\nb: &y [*x]\nc: *y", (2, 4), "&y holds aliases itself"),
        (BOMB, (2, 5 + 4 * MOST_ALIASES), f"more than {MOST_ALIASES} aliases"),
        (b"[" + b"1," * MOST_VALUES + b"]", (1, 2 * MOST_VALUES), "more than 20,000 values"),
        (DEEP, (1, DEEPEST + 2), f"nested deeper than {DEEPEST} levels"),
        (b'a: "\\ud800"', (1, 4), "found half of a surrogate pair"),
        (b'a: "\\UFFFFFFFF"', (1, 1), "this is not YAML"),
        (b"%YAML 1.6\n---\na: 1", (1, 1), "this is not YAML: version minor part"),
    ],
    ids=lambda value: ascii(value)[:30],
)  # fmt: skip
def test_text_that_is_not_plain_yaml_is_refused_at_its_place(content: bytes, place: tuple[int, int], said: str) -> None:
    flaw = parse(content).flaws[0]
    assert (flaw.place, said in flaw.sentence) == (place, True), flaw


PREPARED = "version: 1\nhosts:\n  box:\n    prepare: {}\nmodels: {{small: {{engine: fake}}}}"


@pytest.mark.parametrize(
    ("inventory", "lines"),
    [
        ("version: 1\nmodels: 3", ["inventory.yaml:2:9: models: found 3, expected a mapping"]),
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
        (PREPARED.format("{remedies: [[a]]}"), ["inventory.yaml:4:14: hosts.box.prepare: give `run`, `check` or both"]),
        (
            PREPARED.format("{run: [[a]], remedies: [[a]]}"),
            ["inventory.yaml:4:14: hosts.box.prepare: `remedies` are for what `check` finds: give it too"],
        ),
        ("- 1", ["inventory.yaml:1:1: found a list, expected a mapping"]),
        (
            "version: 1\nmodels:\n  small: {engin: fake}",
            [
                "inventory.yaml:3:3: models.small.engine: is missing; expected: The inference program and its options.",
                'inventory.yaml:3:11: models.small.engin: unknown key; did you mean "engine"?',
            ],
        ),
        (
            "version: 1\nmodels:\n  small: {engine: fake, port: 99999}",
            ["inventory.yaml:3:31: models.small.port: found 99999, expected a number less than or equal to 65535"],
        ),
        (
            "version: 1\nmodels:\n  small: {engine: fake, task: caht, serves: 3}",
            [
                "inventory.yaml:3:31: models.small.task: found \"caht\", expected 'chat', 'completion', 'embedding' or 'rerank'",
                "inventory.yaml:3:45: models.small.serves: found 3, expected text",
            ],
        ),
        (
            "version: 1\nmodels:\n  Big One: {engine: fake}\n  small: {engine: fake}",
            [
                'inventory.yaml:3:3: models.Big One: found "Big One", expected up to 63 lower case letters, digits, dots, '
                "dashes and underscores, with a letter or digit at both ends"
            ],
        ),
        (
            "version: 1\nmodels:\n  small: {engine: vllm}",
            ['inventory.yaml:3:19: models.small.engine: found "vllm", which is not in this version, expected fake or strict'],
        ),
        (
            "version: 1\nmodels:\n  small: {engine: {kind: fak}, launcher: docker}",
            [
                'inventory.yaml:3:26: models.small.engine.kind: found "fak", expected fake or strict; did you mean "fake"?',
                'inventory.yaml:3:42: models.small.launcher: found "docker", which is not in this version, expected fake or '
                "process",
            ],
        ),
        (
            "version: 1\nmodels:\n  small: {engine: strict}",
            ["inventory.yaml:3:11: models.small.engine.weights: is missing; expected: The weights file."],
        ),
        (
            "version: 1\nmodels:\n  small: {engine: {kind: fake, contxt: 1, args: 3}}",
            [
                'inventory.yaml:3:32: models.small.engine.contxt: unknown key; did you mean "context"?',
                "inventory.yaml:3:49: models.small.engine.args: found 3, expected a list",
            ],
        ),
        (
            "version: 1\nhosts:\n  a: {power: {kind: fake, password: hunter2}, engines: {fake: {context: no}, vlm: {}}}\n"
            "models: {small: {engine: fake}, large: {engine: fake}}",
            [
                "inventory.yaml:3:37: hosts.a.power.password: found a value, expected a mapping",
                'inventory.yaml:3:73: hosts.a.engines.fake.context: found "no", expected a whole number',
                'inventory.yaml:3:78: hosts.a.engines.vlm: found "vlm", expected fake or strict',
            ],
        ),
        (
            "version: 1\nmodels:\n  small: {engine: {kind: picky, mode: 3}, launcher: {scope: user}}",
            [
                'inventory.yaml:3:26: models.small.engine.kind: found "picky", expected fake or strict',
                "inventory.yaml:3:53: models.small.launcher: found a mapping, expected the name of a driver, or a mapping with "
                "`kind` and its options",
            ],
        ),
        (
            "version: 1\nmodels:\n  small: {engine: {kind: fake, args: [--port, x]}}",
            ["inventory.yaml:3:38: models.small.engine.args: --port is set by the key port"],
        ),
        (
            "version: 1\nmodels:\n  small: {engine: fake, launcher: {kind: fake, limits: [{}, {cors: 1}]}}",
            [
                "inventory.yaml:3:57: models.small.launcher.limits.0.cores: is missing",
                "inventory.yaml:3:61: models.small.launcher.limits.1.cores: is missing",
                'inventory.yaml:3:62: models.small.launcher.limits.1.cors: unknown key; did you mean "cores"?',
            ],
        ),
        (
            "version: 1\nmodels:\n  small: {engine: fake, launcher: {kind: fake, total: {cors: 1, cores: 1}}}",
            ['inventory.yaml:3:56: models.small.launcher.total.cors: unknown key; did you mean "cores"?'],
        ),
        (
            'version: 1\nmodels:\n  small: {engine: fake}\n  "\\e[31m": {engine: fake}',
            [
                'inventory.yaml:4:3: models.\\x1b[31m: found "\\u001b[31m", expected up to 63 lower case letters, digits, dots, '
                "dashes and underscores, with a letter or digit at both ends"
            ],
        ),
    ],
)
def test_every_problem_of_the_inventory_has_its_place(tmp_path: Path, inventory: str, lines: list[str]) -> None:
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
        "FromEnvironment.from_env: is missing", "FromFile.from_file: is missing"
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
    assert lines == ["inventory.yaml:2:12: hosts.a: found 3, expected a mapping"]


def test_a_host_that_cannot_be_read_is_not_missing_too(tmp_path: Path) -> None:
    inventory = "version: 1\nhosts: {a: {}, b: {}}\nmodels: {small: {host: 7, engine: fake}}\n"
    lines = problems(tmp_path, "version: 1\nhosts: {a: {active: small}}", inventory)
    assert lines == ["inventory.yaml:3:24: models.small.host: found 7, expected text"]


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


def test_who_stands_where_both_files_lie_is_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for file in ("desired", "inventory"):
        (tmp_path / f"{file}.yaml").write_text("version: 1\n")
    with pytest.raises(ConfigError, match=r"both files lie here: name this directory with `--state \.`"):
        FileSource(Path("state"), FakeCatalog()).read()


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ('"1"', 'found "1", expected the number 1, without quotes'),
        ("2", "found 2, expected 1, the only version that this reconciler reads"),
        ("on", 'found "on", expected 1, the only version that this reconciler reads'),
    ],
)
def test_another_version_is_said_so_that_it_can_be_mended(tmp_path: Path, written: str, said: str) -> None:
    assert problems(tmp_path, f"version: {written}\nactive: small\n") == [f"desired.yaml:1:10: version: {said}"]


def test_a_number_with_a_unit_is_no_whole_number(tmp_path: Path) -> None:
    inventory = "version: 1\nmodels:\n  small: {engine: {kind: fake, context: 64k}}\n"
    (line,) = problems(tmp_path, "version: 1\nactive: small\n", inventory)
    assert line.endswith('context: found "64k", expected a whole number')


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
    with pytest.raises(ConfigError, match="regular file|larger than 1 MiB|expected a file|let the link name the file itself"):
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
def test_provenance_reads_as_a_phrase(state: Literal["committed", "modified", "not in git"], commit: str, phrase: str) -> None:
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
