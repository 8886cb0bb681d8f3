"""Variables of an engine: as typed, by reference, part of its digest, and never ours."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from reconciler.config.source import FileSource
from reconciler.drivers import DriverCatalog
from reconciler.edge.clock import SystemClock
from reconciler.errors import ConfigError
from reconciler.model.secret import FromEnv

if TYPE_CHECKING:
    from pathlib import Path

    from reconciler.model.spec import ModelSpec

ENGINE = "engine: {kind: llamacpp, weights: /w.gguf, env: ENV}"


def source(folder: Path, model: str, host: str = "") -> FileSource:
    (folder / "desired.yaml").write_text("version: 1\nactive: a\n")
    (folder / "inventory.yaml").write_text(
        f"version: 1\nhosts: {{local: {{{host}}}}}\nmodels:\n  a: {{{model}}}\n"
    )
    return FileSource(folder, DriverCatalog("", SystemClock()))


def defined(folder: Path, env: str, more: str = "") -> ModelSpec:
    found = source(folder, ENGINE.replace("ENV", env) + more).read().slices["local"].model("a")
    assert found is not None
    return found


def refusal(folder: Path, model: str, host: str = "") -> str:
    with pytest.raises(ConfigError) as caught:
        source(folder, model, host).read()
    return caught.value.message.replace(f"{folder}/", "")


def test_what_is_typed_is_what_the_engine_gets(tmp_path: Path) -> None:
    env = (
        "{OMP_NUM_THREADS: 8, RATIO: .50, HEX: 0x10, GGML_X: true, MODE: on, TEXT: 'a b',"
        " EMPTY: ''}"
    )
    got = defined(tmp_path, env).command.env
    typed = {
        "OMP_NUM_THREADS": "8",
        "RATIO": ".50",
        "HEX": "0x10",
        "GGML_X": "true",
        "MODE": "on",
        "TEXT": "a b",
        "EMPTY": "",
    }
    assert got == {"GGML_NO_BACKTRACE": "1", **typed}


def test_cards_can_be_named_by_hand_where_gpus_does_not(tmp_path: Path) -> None:
    assert defined(tmp_path, "{CUDA_VISIBLE_DEVICES: 1}").command.env["CUDA_VISIBLE_DEVICES"] == "1"
    said = refusal(tmp_path, ENGINE.replace("ENV", "{CUDA_VISIBLE_DEVICES: 1}") + ", gpus: [0]")
    assert (
        said
        == "inventory.yaml:4:56: models.a.engine.env.CUDA_VISIBLE_DEVICES: found it beside `gpus`"
        " of a, which sets it; remove one of the two"
    )


def test_a_change_of_a_variable_is_a_change_of_the_definition(tmp_path: Path) -> None:
    none, eight, nine = (
        defined(tmp_path, env).digest
        for env in ("{}", "{OMP_NUM_THREADS: 8}", "{OMP_NUM_THREADS: 9}")
    )
    assert len({none, eight, nine}) == 3


def test_a_secret_is_kept_as_where_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUB", "hf_not-to-be-seen")
    model = defined(tmp_path, "{HF_TOKEN: {from_env: HUB}, OMP_NUM_THREADS: 8}")
    assert model.command.secrets == {"HF_TOKEN": FromEnv(from_env="HUB")}
    assert "HF_TOKEN" not in model.command.env
    assert "hf_not-to-be-seen" not in model.model_dump_json()


@pytest.mark.parametrize(
    ("env", "said"),
    [
        (
            "{LLAMA_ARG_CTX_SIZE: 1}",
            (
                "models.a.engine.env: LLAMA_ARG_CTX_SIZE is a flag of llama-server; write that into"
                " args"
            ),
        ),
        ("{LLAMA_API_KEY: x}", "models.a.engine.env: LLAMA_API_KEY is set by the key `key`"),
        (
            "{RECONCILER_UNIT: x, NOTIFY_SOCKET: y}",
            "NOTIFY_SOCKET cannot be set in env: it tells a program who started it",
        ),
        (
            "{HF_TOKEN: hf_x}",
            (
                "HF_TOKEN sounds like a secret: say where it is, such as `HF_TOKEN: {from_env:"
                " HF_TOKEN}`"
            ),
        ),
        (
            "{MY-VAR: 1}",
            'models.a.engine.env.MY-VAR: found "MY-VAR", expected the name of a variable',
        ),
        (
            "[A=b]",
            (
                "models.a.engine.env: found a list, expected a mapping from names to values, such"
                " as `{OMP_NUM_THREADS: 8}`"
            ),
        ),
        ("{A: [1]}", "models.a.engine.env.A: found a list, expected text"),
        ("{A: ~}", "models.a.engine.env.A: found nothing, expected text"),
        ("{A: {from_fil: /x}}", "models.a.engine.env.A.FromFile.from_file: is missing"),
    ],
)
def test_what_is_not_theirs_or_no_variable_is_refused(tmp_path: Path, env: str, said: str) -> None:
    assert said in refusal(tmp_path, ENGINE.replace("ENV", env))


def test_a_service_that_is_there_already_gets_its_variables_from_its_unit(tmp_path: Path) -> None:
    systemd = ", launcher: {kind: systemd, scope: user}"
    said = refusal(tmp_path, ENGINE.replace("ENV", "{A: 1}") + systemd)
    assert (
        "models.a.engine.env: found variables, but a is a service that is there already: set them"
        " in its unit" in said
    )
    shared = "engines: {llamacpp: {env: {A: 1}}}"
    said = refusal(tmp_path, "engine: {kind: llamacpp, weights: /w.gguf}" + systemd, shared)
    assert "hosts.local.engines.llamacpp.env: found variables" in said
    assert source(tmp_path, ENGINE.replace("ENV", "{}") + systemd, shared).read().slices
