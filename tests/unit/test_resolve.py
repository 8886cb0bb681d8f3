from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from reconciler.config.resolve import _identity
from reconciler.core.canonical import canonical, digest
from reconciler.model.secret import FromFile
from reconciler.model.spec import Command, Kind
from tests.pairs import TWO_HOSTS, problems, wanted

if TYPE_CHECKING:
    from pathlib import Path


def test_canonical_bytes_have_sorted_keys_and_no_whitespace() -> None:
    assert canonical({"b": [1, "é"], "a": None}) == '{"a":null,"b":[1,"é"]}'.encode()


def test_models_dataclasses_and_tuples_are_written_alike() -> None:
    @dataclass
    class Named:
        kind: str
        options: dict[str, int]

    assert (
        canonical(Kind(kind="x"))
        == canonical(Named("x", {}))
        == canonical({"options": {}, "kind": "x"})
    )
    assert canonical((1, 2)) == canonical([1, 2])


def test_not_a_number_has_no_canonical_form() -> None:
    with pytest.raises(ValueError, match="not JSON"):
        canonical(float("nan"))


def test_a_digest_names_its_version() -> None:
    assert (
        digest({}) == "v1:sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
    )


def test_the_only_host_gets_one_slice_with_every_model(tmp_path: Path) -> None:
    (slice_,) = wanted(tmp_path).slices.values()
    assert (slice_.host.name, slice_.power, slice_.active) == ("local", None, ("small",))
    assert [model.name for model in slice_.models] == ["large", "small"]


def test_nothing_wanted_is_nothing_managed(tmp_path: Path) -> None:
    assert wanted(tmp_path, "version: 1").slices == {}


def test_a_host_that_is_not_named_has_no_slice(tmp_path: Path) -> None:
    resolved = wanted(tmp_path, "{version: 1, hosts: {tower: {power: suspend}}}", TWO_HOSTS)
    assert list(resolved.slices) == ["tower"]
    tower = resolved.slices["tower"]
    assert (tower.power, tower.active, tower.enforce) == ("suspend", None, False)


def test_a_model_is_defined_completely(tmp_path: Path) -> None:
    inventory = """
        version: 1
        models:
          small:
            engine: {kind: fake, context: 7}
            launcher: fake
            port: 9000
            vram: 1 MiB
            serves: s
            stable_for: 2m
            task: rerank
        """
    model = wanted(tmp_path, inventory=inventory).slices["local"].models[0]
    assert model.engine == Kind(kind="fake", options={"weights": "", "context": 7, "args": []})
    assert model.launcher == Kind(
        kind="fake", options={"limits": [], "total": None, "scope": "user"}
    )
    assert (model.port, model.vram_bytes, model.serves, model.stable_for, model.task) == (
        9000,
        2**20,
        "s",
        120,
        "rerank",
    )
    assert model.capabilities.keeps_conversations
    assert model.digest == _identity(model.command, 9000)
    assert isinstance(model.command, Command)


def test_what_an_upgrade_adds_to_a_command_unused_starts_no_engine_again() -> None:
    """The digest was written down with the version that had no secrets."""
    command = Command(argv=("llama-server", "-m", "a.gguf"), env={"A": "1"}, folders=("slots",))
    before = {
        "command": {
            "argv": ["llama-server", "-m", "a.gguf"],
            "env": {"A": "1"},
            "folders": ["slots"],
        },
        "port": 8080,
    }
    assert _identity(command, 8080) == digest(before)


def test_a_command_with_a_secret_is_identified_by_where_that_is() -> None:
    plain = Command(argv=("llama-server",))
    here, there = (
        plain.model_copy(update={"secrets": {"KEY": FromFile(from_file=path)}})
        for path in ("/here", "/there")
    )
    assert len({_identity(one, 8080) for one in (plain, here, there)}) == 3


def test_other_cards_are_another_unit_and_no_cards_are_none(tmp_path: Path) -> None:
    written = "version: 1\nmodels: {small: {engine: fake%s}, large: {engine: fake}}"
    anywhere, one, other = (
        wanted(tmp_path, inventory=written % gpus).slices["local"].models[1]
        for gpus in ("", ", gpus: [0]", ", gpus: [1]")
    )
    assert (anywhere.gpus, one.gpus, other.gpus) == ((), (0,), (1,))
    assert len({anywhere.digest, one.digest, other.digest}) == 3


def test_host_defaults_stand_under_each_models_own_options(tmp_path: Path) -> None:
    inventory = """
        version: 1
        hosts: {box: {engines: {fake: {context: 100, weights: /w}, strict: {weights: /s}}}}
        models:
          small: {engine: {kind: fake, context: 7}}
          other: {engine: strict}
        """
    models = wanted(tmp_path, "{version: 1, active: []}", inventory).slices["box"].models
    assert {model.name: model.engine.options for model in models} == {
        "other": {"weights": "/s", "context": 4096, "args": []},
        "small": {"weights": "/w", "context": 7, "args": []},
    }


def test_a_host_gives_options_to_its_launchers_too(tmp_path: Path) -> None:
    inventory = """
        version: 1
        hosts: {box: {launchers: {fake: {scope: system, total: {cores: 4}}}}}
        models:
          small: {engine: fake, launcher: {kind: fake, scope: user}}
          other: {engine: fake, launcher: fake}
          plain: {engine: fake}
        """
    models = wanted(tmp_path, "{version: 1, active: []}", inventory).slices["box"].models
    assert {model.name: model.launcher.options for model in models} == {
        "other": {"limits": [], "total": {"cores": 4}, "scope": "system"},
        "plain": {},
        "small": {"limits": [], "total": {"cores": 4}, "scope": "user"},
    }


def test_what_a_launcher_makes_of_a_unit_identifies_it_too(tmp_path: Path) -> None:
    written = "version: 1\nmodels: {small: {engine: fake, launcher: %s}, large: {engine: fake}}"
    process, fake, bound = (
        wanted(tmp_path, inventory=written % launcher).slices["local"].models[1].digest
        for launcher in ("process", "fake", "{kind: fake, total: {cores: 4}}")
    )
    assert process == fake != bound


def test_the_power_driver_decides_what_a_host_can(tmp_path: Path) -> None:
    resolved = wanted(
        tmp_path, "{version: 1, hosts: {tower: {power: off}, nuc: {power: on}}}", TWO_HOSTS
    )
    assert resolved.slices["tower"].host.capabilities.can_shut_down
    assert not resolved.slices["nuc"].host.capabilities.can_wake


def test_the_order_of_active_models_means_nothing(tmp_path: Path) -> None:
    inventory = "{version: 1, models: {a: {engine: fake}, b: {engine: fake, port: 1}}}"
    first, second = (
        wanted(tmp_path, f"{{version: 1, active: {names}}}", inventory)
        for names in ("[a, b]", "[b, a]")
    )
    assert digest(first.slices) == digest(second.slices)


@pytest.mark.parametrize(
    ("desired", "inventory", "line"),
    [
        (
            "version: 1\nactive: smal",
            None,
            (
                'desired.yaml:2:9: active: found "smal", expected a model of local; did you mean'
                ' "small"?'
            ),
        ),
        (
            "version: 1\nactive: [small, zz]",
            None,
            'desired.yaml:2:17: active.1: found "zz", expected a model of local (large or small)',
        ),
        (
            "version: 1\nactive: none",
            None,
            'desired.yaml:2:9: active: found "none", expected a model of local; `[]` runs none',
        ),
        (
            "version: 1\nactive: [small, large]",
            None,
            (
                "desired.yaml:2:17: active.1: large and small both use port 8080; expected one of"
                " them, or another port: in the inventory"
            ),
        ),
        (
            "version: 1\nactive: small\nallow: [small, zz]",
            None,
            'desired.yaml:3:16: allow.1: found "zz", expected a model of local (large or small)',
        ),
        (
            "version: 1\nallow: any",
            None,
            (
                "desired.yaml:2:1: allow: found allow without active, so requests could stop what"
                " is not managed; expected active beside it, [] to run none by itself"
            ),
        ),
        (
            "version: 1\nactive: small\nreturn_after: 1m",
            None,
            (
                "desired.yaml:3:1: return_after: found return_after without allow, so no request"
                " brings anything in; expected allow beside it"
            ),
        ),
        (
            "version: 1\nactive: small\nallow: any\nmax_wait: 20s",
            None,
            (
                "desired.yaml:4:11: max_wait: found 20 s, expected more than min_residency (30 s),"
                " or requests would be turned away before their turn"
            ),
        ),
        (
            "version: 1\nactive: small\nallow: any\nmin_residency: 10m",
            None,
            (
                "desired.yaml:4:16: min_residency: found 600 s, expected less than max_wait"
                " (240 s without the key), or requests would be turned away before their turn"
            ),
        ),
        (
            "version: 1\npower: auto",
            None,
            (
                "desired.yaml:2:8: power: found auto, but nothing would put the host to sleep;"
                " expected idle beside it, such as {after: 30m, then: suspend}"
            ),
        ),
        (
            "version: 1\npower: auto\nactive: small\nidle: {after: 30m, then: off}",
            None,
            (
                "desired.yaml:2:8: power: found auto, but nothing in `power:` of local can shut it"
                " down; set power: for it in the inventory, or leave the key out"
            ),
        ),
        (
            "version: 1\nactive: small\nidle: {after: 30m, then: suspend}",
            None,
            (
                "desired.yaml:3:26: idle.then: found suspend, expected `power: auto` beside"
                " idle, or unload"
            ),
        ),
        (
            "version: 1\npower: on\nidle: {after: 30m, then: unload}",
            None,
            (
                "desired.yaml:3:1: idle: found idle without active, so nothing would come back;"
                " expected active beside it"
            ),
        ),
        (
            "version: 1\npower: auto\nactive: small\nidle: {after: 30, then: off}",
            ("{version: 1, hosts: {a: {power: fake}}, models: {small: {host: a, engine: fake}}}"),
            (
                "desired.yaml:4:15: idle.after: found 30 s, expected 1m or longer before a host"
                " goes to sleep; a number without a unit means seconds"
            ),
        ),
        (
            "version: 1\npower: off",
            None,
            (
                "desired.yaml:2:8: power: found off, but nothing in `power:` of local can shut it"
                " down; set power: for it in the inventory, or leave the key out"
            ),
        ),
        (
            "version: 1\npower: suspend",
            "{version: 1, hosts: {a: {power: fake}}, models: {}}",
            (
                "desired.yaml:2:8: power: found suspend, but nothing in `power:` of a can suspend"
                " it; set another power: for it in the inventory, or leave the key out"
            ),
        ),
        (
            "version: 1\nhosts:\n  towr: {}",
            TWO_HOSTS,
            (
                'desired.yaml:3:3: hosts.towr: found "towr", expected a host of the inventory (nuc'
                ' or tower); did you mean "tower"?'
            ),
        ),
        (
            "version: 1\nhosts:\n  nuc: {active: coder}",
            TWO_HOSTS,
            (
                "desired.yaml:3:17: hosts.nuc.active: coder is a model of tower, expected a model"
                " of nuc (embed)"
            ),
        ),
        (
            "version: 1\nactive: coder",
            TWO_HOSTS,
            (
                "desired.yaml:2:1: active: found active at the top level, expected it under hosts:"
                " and one of nuc or tower"
            ),
        ),
        (
            "version: 1\nenforce: false\nhosts:\n  nuc: {}",
            TWO_HOSTS,
            (
                "desired.yaml:2:1: enforce: found enforce at the top level, expected it under each"
                " host of hosts:"
            ),
        ),
        (
            None,
            "version: 1\nmodels:\n  small: {engine: fake, aliases: [gpt-4o, gpt-4o]}",
            (
                'inventory.yaml:3:43: models.small.aliases.1: found "gpt-4o" again, expected each'
                " alias once"
            ),
        ),
        (
            None,
            "version: 1\nmodels:\n  small: {engine: fake, aliases: [active]}",
            (
                'inventory.yaml:3:35: models.small.aliases.0: found "active", which names a model'
                " already; expected another word"
            ),
        ),
        (
            None,
            "version: 1\nmodels:\n  small: {engine: fake, gpus: [0, 1, 0]}",
            "inventory.yaml:3:38: models.small.gpus.2: found 0 again, expected each card once",
        ),
        (
            None,
            (
                "version: 1\nmodels:\n  small: {engine: {kind: strict, weights: w}, conversations:"
                " require}"
            ),
            (
                "inventory.yaml:3:62: models.small.conversations: found require, but the engine"
                " strict under the launcher process cannot keep conversations; expected keep or"
                " drop"
            ),
        ),
        (
            "version: 1\nhosts: {a: {active: small}}",
            "version: 1\nhosts: {a: {}, b: {}}\nmodels:\n  small: {engine: fake}",
            (
                "inventory.yaml:4:3: models.small.host: is missing; expected one of the inventory's"
                " hosts (a or b)"
            ),
        ),
        (
            "version: 1",
            "version: 1\nhosts: {a: {}, b: {}}\nmodels:\n  small: {host: c, engine: fake}",
            (
                'inventory.yaml:4:17: models.small.host: found "c", expected a host of the'
                " inventory (a or b)"
            ),
        ),
    ],
)
def test_what_does_not_fit_together_is_named_with_its_place(
    tmp_path: Path, desired: str | None, inventory: str | None, line: str
) -> None:
    given = {name: text for name, text in (("desired", desired), ("inventory", inventory)) if text}
    assert problems(tmp_path, **given) == [line]
