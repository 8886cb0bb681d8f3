"""Every problem of both files is said at its place, all of them together, without a secret."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.pairs import problems

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
            "version: 1\nmodels:\n  small: {engine: {kind: fak}, launcher: podman}",
            [
                (
                    'inventory.yaml:3:26: models.small.engine.kind: found "fak", expected fake or'
                    ' strict; did you mean "fake"?'
                ),
                (
                    'inventory.yaml:3:42: models.small.launcher: found "podman", which is not in'
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
                "version: 1\nhosts:\n  a: {launchers: {fake: {scope: mine}, dokcer: {}}}\nmodels:"
                " {small: {engine: fake, launcher: fake}}"
            ),
            [
                (
                    'inventory.yaml:3:33: hosts.a.launchers.fake.scope: found "mine", expected'
                    " 'user' or 'system'"
                ),
                (
                    'inventory.yaml:3:40: hosts.a.launchers.dokcer: found "dokcer", expected'
                    " fake or process"
                ),
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


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ('"2"', 'found "2", expected 1, the only version that this reconciler reads'),
        ("2", "found 2, expected 1, the only version that this reconciler reads"),
        ("on", 'found "on", expected 1, the only version that this reconciler reads'),
    ],
)
def test_another_version_is_named_with_the_only_one_that_can_be_read(
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
