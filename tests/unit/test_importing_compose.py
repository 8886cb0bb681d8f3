"""A compose file is read as compose reads it, and what is not carried over has its line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from reconciler.config import compose_file
from reconciler.core.importing.compose_service import ComposeService, Published
from reconciler.core.importing.interpolation import interpolated
from reconciler.errors import ConfigError
from reconciler.model.found_container import ContainerEngine
from tests.imported import FIXTURES, SOCKET, container, of_compose, read_back, rows
from tests.machines import machine

if TYPE_CHECKING:
    from pathlib import Path


def test_a_service_becomes_a_model_at_its_published_port(tmp_path: Path) -> None:
    report = of_compose(FIXTURES / "one_service.yaml")
    (model,) = read_back(report, tmp_path).values()
    assert (model.name, model.port) == ("coder", 9001)
    assert model.launcher.kind == "compose"
    assert model.launcher.options == {
        "project": "imports", "service": "coder", "socket": None,
        "file": str(FIXTURES / "one_service.yaml"),
    }  # fmt: skip
    assert model.engine.options["weights"] == "/models/coder-q4.gguf"
    assert model.engine.options["args"] == ["-ngl", "99", "-fa", "on", "--jinja"]
    assert rows(report) == {
        ("service coder of imports", "model coder", "carried"),
        ("one_service.yaml:5", "port 9001", "carried"),
        ("one_service.yaml:4", "restart: unless-stopped", "carried"),
        ("one_service.yaml:2", "deploy, volumes", "carried"),
        ("one_service.yaml:2", "container", "carried"),
        ("one_service.yaml:2", "conversations", "left out"),
        ("one_service.yaml:17", "chat: image nginx:1.27", "left out"),
    }


def test_a_container_that_exists_is_found_by_its_labels_and_tells_what_is_true(
    tmp_path: Path,
) -> None:
    made = container(
        name="llm_coder_1", policy="unless-stopped", project="imports", service="coder", port=9001
    )
    report = of_compose(FIXTURES / "one_service.yaml", machine(containers=(made,)))
    (model,) = read_back(report, tmp_path).values()
    assert (model.launcher.kind, model.name) == ("compose", "coder")
    assert model.launcher.options["file"] is None
    assert model.engine.options["context"] == 8192
    assert "container" not in {key for _, key, _ in rows(report)}
    (policy,) = [row for row in report.rows if row.key.startswith("restart")]
    assert (policy.where, policy.instead) == (
        f"{FIXTURES}/one_service.yaml:4",
        'write `restart: "no"` to leave that to reconciler',
    )


def test_variables_come_from_all_their_places_and_no_key_is_written(tmp_path: Path) -> None:
    report = of_compose(FIXTURES / "variables.yaml", SLOTS="/slots")
    (model,) = read_back(report, tmp_path).values()
    options = model.engine.options
    assert (options["weights"], options["context"]) == ("/models/chat.gguf", 16384)
    assert (options["parallel"], options["slots"]) == (2, "/slots")
    assert ("variables.yaml:5", "LLAMA_ARG_API_KEY", "left out") in rows(report)
    written = "".join(path.read_text() for path in tmp_path.iterdir())
    assert "not-for-others" not in written + str(report)
    assert "key: {from_file: /PATH}" in written
    unset = of_compose(FIXTURES / "variables.yaml")
    assert ("variables.yaml:1", "${SLOTS}", "changed") in rows(unset)


def test_two_services_of_one_port_take_turns_and_another_engine_is_left_out(tmp_path: Path) -> None:
    report = of_compose(FIXTURES / "pair_of_one_port.yaml")
    models = read_back(report, tmp_path)
    assert {name: one.port for name, one in models.items()} == {"big": 8000, "small": 8000}
    assert ("pair_of_one_port.yaml:20", "wide: image vllm/vllm-openai:v0.28.0", "left out") in rows(
        report
    )


def services(folder: Path, text: str) -> Path:
    path = folder / "compose.yaml"
    path.write_text("services:\n" + text)
    return path


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("  a: {build: .}\n  b: text\n", "a: build"),
        ("  a: {image: llama.cpp:server, command: --models-dir /m}\n", "a: image llama.cpp:server"),
        ("  a: {image: 'x/llama.cpp:full', command: --server}\n", "a: image x/llama.cpp:full"),
        ("  a: {image: llama.cpp:server, command: -hf org/a}\n", "-hf"),
    ],
)
def test_a_service_that_is_no_model_is_named(tmp_path: Path, text: str, key: str) -> None:
    report = of_compose(services(tmp_path, text))
    assert report.models == ()
    assert ("left out", key) in {(row.became, row.key) for row in report.rows}


def test_what_only_compose_does_is_named_with_what_to_do(tmp_path: Path) -> None:
    text = (
        "  a: {image: llama.cpp:server, command: -m /m.gguf, depends_on: [b], env_file: [x.env]}\n"
    )
    report = of_compose(services(tmp_path, text))
    told = {row.key: row for row in report.rows}
    assert told["depends_on"].instead == "start the others yourself: `docker compose up -d`"
    assert told["env_file x.env"].became == "left out"


def test_the_engine_of_the_host_is_named_where_another_is_meant_usually(tmp_path: Path) -> None:
    engine = ContainerEngine(socket="/run/x.sock", usual=False, group="", usable=True)
    report = of_compose(FIXTURES / "one_service.yaml", machine(engines=(engine,)))
    (model,) = read_back(report, tmp_path).values()
    assert model.launcher.options["socket"] == "/run/x.sock"
    usual = engine.model_copy(update={"socket": SOCKET, "usual": True})
    report = of_compose(FIXTURES / "one_service.yaml", machine(engines=(usual,)))
    (model,) = read_back(report, tmp_path).values()
    assert model.launcher.options["socket"] is None


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("${A}/$A", "1/1"),
        ("$$A", "$A"),
        ("${B:-x}${B-y}", "xy"),
        ("${E:-x}${E-y}", "x"),
        ("${A:+x}${B:+y}${E+z}", "xz"),
        ("${B:-${A}}", "1"),
        ("${B}", ""),
        ("${B:?needed}", ""),
        ("a$", "a$"),
    ],
)
def test_variables_are_put_in_as_compose_does(text: str, value: str) -> None:
    found = interpolated({"k": [text, 7]}, {"A": "1", "E": ""})
    assert found.value == {"k": [value, 7]}
    assert found.unset == (frozenset("B") if text in {"${B}", "${B:?needed}"} else frozenset())


def test_a_service_may_be_written_in_every_way() -> None:
    keys: dict[str, Any] = {
        "entrypoint": ["/app/llama-server", "-m", "a"],
        "command": "-c '4096",
        "environment": ["A=1", "OUTER", "GONE"],
        "env_file": [{"path": "one.env"}, "two.env"],
        "ports": [{"published": "80", "target": 8080}, "81:8081/tcp", "8082", "1-2:3-4"],
        "volumes": [
            {"source": "/g", "target": "/m/"}, "./x:/x:ro", "named:/n", "/anonymous",
            {"target": "/t"},
        ],
    }  # fmt: skip
    one = ComposeService("a", keys)
    assert one.flags == ("-m", "a", "-c", "'4096")
    assert one.variables({"one.env": {"A": "0", "B": "2"}, "two.env": None}, {"OUTER": "o"}) == {
        "A": "1", "B": "2", "OUTER": "o",
    }  # fmt: skip
    assert one.published == (Published(80, 8080), Published(81, 8081))
    assert one.mounts("/p") == {"/m": "/g", "/x": "/p/x"}
    bare = ComposeService("b", {"ports": "80:80"})
    assert (bare.published, bare.mounts("/p"), bare.variables({}, {})) == ((), {}, {})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x: 1\nmodels:\n  a: {cmd: llama-server}\n", "`models:` in line 2 is llama-swap's"),
        ("services: [a]\n", ":1: found no `services:`"),
        ("services:\n  a: [\n", ":3: this is not YAML"),
        ("- a\n", ":1: found no `services:`"),
    ],
)
def test_what_is_no_compose_file_is_refused_with_its_line(
    tmp_path: Path, text: str, said: str
) -> None:
    path = tmp_path / "compose.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match="compose.yaml") as refused:
        compose_file.read(str(path), {})
    assert said in refused.value.message
    with pytest.raises(ConfigError, match="No such file or directory; name the compose file"):
        compose_file.read(str(tmp_path / "gone.yaml"), {})


def test_files_of_variables_are_read_as_compose_does(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("# no\nexport A=1\nB='x # y'\nC=z # why\nnothing\nD=\n")
    path = services(tmp_path, "  a: {image: x}\n  b: text\n")
    assert compose_file.read(str(path), {"A": "2"}).variables == {
        "A": "2", "B": "x # y", "C": "z", "D": "",
    }  # fmt: skip
