"""The embedded server is a llama-server to whatever starts, asks, saves or stops one."""

from __future__ import annotations

import fcntl
import http.client
import json
import os
import select
import signal
import subprocess
import sys
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from reconciler.onhost import slotfile
from tests.engine import EMBEDDED, EngineProcess, Server, weights_in
from tests.running import until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PROMPT = "the quick brown fox jumps over the lazy dog. " * 12
KEEPING = ("-np", "1", "--no-cache-idle-slots", "--cache-ram", "0", "--fit", "off")
ENDS_WITHIN = 2.0
PIPE_BYTES = 4096


def save_and_replay(server: Server, model: Path, *flags: str) -> tuple[int, int]:
    """Save a conversation, kill the server, restore it into the next: (tokens held, reused)."""
    arguments = (*KEEPING, "--slot-save-path", str(model.parent), *flags)
    with server.running(model, *arguments) as engine:
        engine.complete(PROMPT)
        saved = engine.slot(0, "save", "conversation.bin").body["n_saved"]
    with server.running(model, *arguments) as engine:
        restored = engine.slot(0, "restore", "conversation.bin").body["n_restored"]
        assert restored == saved
        with (model.parent / "conversation.bin").open("rb") as file:
            tokens, _ = slotfile.tokens(file, saved)
        assert tokens is not None
        return saved, engine.complete(tokens, 0, id_slot=0)["timings"]["cache_n"]


def refusal(server: Server, *flags: str) -> str:
    """Run a server that must end by itself with status 1, and return what it said."""
    ended = subprocess.run([*server.program, *flags], capture_output=True, timeout=30, check=False)
    assert ended.returncode == 1, ended
    return (ended.stderr + ended.stdout).decode()


def refuses(server: Server, naming: str, *flags: str) -> bool:
    """Whether a server that must end says why; a llama-server may lose its words, so is rerun."""
    return any(naming in refusal(server, *flags) for _ in range(5 if server.binary else 1))


def health(engine: EngineProcess) -> int:
    """Read the status of /health, 0 while nothing listens."""
    try:
        return engine.request("GET", "/health", timeout=1).status
    except OSError:
        return 0


@contextmanager
def generating(engine: EngineProcess, *, stream: bool) -> Iterator[None]:
    """Keep one endless request in flight."""
    body = json.dumps({"prompt": PROMPT, "n_predict": -1, "ignore_eos": True, "stream": stream})
    with closing(http.client.HTTPConnection("127.0.0.1", engine.port)) as connection:
        connection.request("POST", "/completion", body, {"Content-Type": "application/json"})
        until(lambda: bool(engine.get("/slots")[0]["is_processing"]))
        yield


def status_after(engine: EngineProcess, number: signal.Signals, caught: bool = True) -> int:
    """Send a signal, once any handler waits for it; return the exit status that comes in time."""
    until(lambda: not caught or catches(engine.pid, number))
    os.kill(engine.pid, number)
    return engine.wait_exit(ENDS_WITHIN)


def catches(pid: int, number: signal.Signals) -> bool:
    """Return whether a process has a handler for a signal."""
    _, _, caught = Path(f"/proc/{pid}/status").read_text().partition("SigCgt:")
    return bool(int(caught.split()[0], 16) & 1 << number - 1)


def test_same_prompt_gives_same_text(server: Server, tmp_path: Path) -> None:
    with server.running(weights_in(tmp_path)) as engine:
        first, second = engine.complete("hällo 日本\n"), engine.complete("hällo 日本\n")
    assert first["tokens_predicted"] == 8
    assert first["content"].strip()
    assert first["content"] == second["content"]


def test_generated_text_is_tokenised_to_the_tokens_it_was_made_of(
    server: Server, tmp_path: Path
) -> None:
    with server.running(weights_in(tmp_path)) as engine:
        answer = engine.complete("hello", 32, return_tokens=True)
        again = engine.post("/tokenize", {"content": "hello" + answer["content"]})["tokens"]
    assert again[-31:] == answer["tokens"][-31:]


def test_chat_answers_under_the_served_name(server: Server, tmp_path: Path) -> None:
    with server.running(weights_in(tmp_path), "--alias", "tiny") as engine:
        request = {"messages": [{"role": "user", "content": "hello"}], "max_tokens": 4}
        answer = engine.post("/v1/chat/completions", request)
        models = engine.get("/v1/models")
    assert answer["choices"][0]["message"]["content"]
    assert answer["usage"]["completion_tokens"] == 4
    assert answer["model"] == models["data"][0]["id"] == "tiny"


def test_embedding_and_reranking_answer(server: Server, tmp_path: Path) -> None:
    with server.running(weights_in(tmp_path), "--embedding", "--pooling", "mean") as engine:
        assert len(engine.post("/v1/embeddings", {"input": "hello"})["data"][0]["embedding"]) == 64
    with server.running(weights_in(tmp_path), "--reranking") as engine:
        scored = engine.post("/v1/rerank", {"query": "hello", "documents": ["a", "b"]})["results"]
    assert {result["index"] for result in scored} == {0, 1}


@pytest.mark.parametrize("architecture", ["gemma3", "lfm2"])
def test_other_architectures_load_and_generate(
    server: Server, tmp_path: Path, architecture: str
) -> None:
    with server.running(weights_in(tmp_path, architecture)) as engine:
        assert engine.complete(PROMPT)["tokens_predicted"] == 8


def test_every_route_is_503_while_loading(server: Server, tmp_path: Path) -> None:
    model = weights_in(tmp_path, width=1024, layers=4)
    with server.started("-m", str(model), "-c", "2048", log=tmp_path / "log") as engine:
        until(lambda: health(engine) != 0, within=60)
        assert engine.request("GET", "/slots").status == http.HTTPStatus.SERVICE_UNAVAILABLE
        until(lambda: health(engine) != http.HTTPStatus.SERVICE_UNAVAILABLE, within=60)
        assert health(engine) == http.HTTPStatus.OK


def test_slots_count_tokens_only_once_they_ran(server: Server, tmp_path: Path) -> None:
    with server.running(weights_in(tmp_path), *KEEPING) as engine:
        assert set(engine.get("/slots")[0]) == {"id", "n_ctx", "speculative", "is_processing"}
        evaluated = engine.complete(PROMPT)["tokens_evaluated"]
        assert engine.get("/slots")[0]["n_prompt_tokens"] == evaluated + 7


def test_default_is_four_slots_over_one_context(server: Server, tmp_path: Path) -> None:
    with server.running(weights_in(tmp_path)) as engine:
        assert [slot["n_ctx"] for slot in engine.get("/slots")] == [2048] * 4


def test_conversation_survives_a_kill_whole(server: Server, tmp_path: Path) -> None:
    held, reused = save_and_replay(server, weights_in(tmp_path))
    assert reused == held - 1


@pytest.mark.parametrize(
    ("flags", "kept"), [(("--swa-full",), 1.0), (("--ctx-checkpoints", "0"), 0.0)]
)
def test_sliding_window_restores_only_with_the_full_cache(
    server: Server, tmp_path: Path, flags: tuple[str, ...], kept: float
) -> None:
    held, reused = save_and_replay(server, weights_in(tmp_path, "gemma3"), *flags)
    assert reused == int(kept * (held - 1))


@pytest.mark.parametrize("architecture", ["gemma3", "lfm2"])
def test_checkpoints_are_saved_and_written_is_the_size_of_the_file(
    tmp_path: Path, architecture: str
) -> None:
    with EMBEDDED.running(
        weights_in(tmp_path, architecture), *KEEPING, "--slot-save-path", str(tmp_path)
    ) as engine:
        engine.complete(PROMPT)
        written = engine.slot(0, "save", "conversation.bin").body["n_written"]
    assert (tmp_path / "conversation.bin").stat().st_size == written


def test_hybrid_without_checkpoints_restores_nothing_to_replay(
    server: Server, tmp_path: Path
) -> None:
    _, reused = save_and_replay(server, weights_in(tmp_path, "lfm2"), "--ctx-checkpoints", "0")
    assert reused == 0


def test_relative_paths_are_relative_to_the_working_directory(
    server: Server, tmp_path: Path
) -> None:
    model = weights_in(tmp_path)
    (tmp_path / "slots").mkdir()
    flags = [os.path.relpath(model), "--slot-save-path", os.path.relpath(tmp_path / "slots")]
    with server.started("-m", *flags, log=tmp_path / "log") as engine:
        engine.wait_healthy()
        engine.complete(PROMPT, id_slot=0)
        written = engine.slot(0, "save", "conversation.bin").body["n_written"]
    assert (tmp_path / "slots" / "conversation.bin").stat().st_size == written


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_idle_server_ends_with_status_0(
    server: Server, tmp_path: Path, number: signal.Signals
) -> None:
    with server.running(weights_in(tmp_path)) as engine:
        engine.complete(PROMPT)  # until loading is over, a signal ends it at once
        assert status_after(engine, number) == 0


@pytest.mark.parametrize("stream", [False, True])
def test_requests_in_flight_do_not_delay_the_end(tmp_path: Path, stream: bool) -> None:
    with (
        EMBEDDED.running(weights_in(tmp_path), *KEEPING) as engine,
        generating(engine, stream=stream),
    ):
        assert status_after(engine, signal.SIGTERM) == 0


def test_sigterm_ends_a_load_at_once(server: Server, tmp_path: Path) -> None:
    model = weights_in(tmp_path, width=1024, layers=4)
    with server.started("-m", str(model), "-c", "2048", log=tmp_path / "log") as engine:
        until(lambda: health(engine) == http.HTTPStatus.SERVICE_UNAVAILABLE, within=60)
        assert status_after(engine, signal.SIGTERM, caught=False) == -signal.SIGTERM


def test_unknown_flag_is_named(server: Server) -> None:
    assert refuses(server, "error: invalid argument: --bogus", "-m", "any.gguf", "--bogus", "3")


def test_every_flag_and_whether_it_takes_a_value_is_listed_as_llama_server_does() -> None:
    said = subprocess.run(
        [*EMBEDDED.program, "--help"], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert {
        "-c, --ctx-size VALUE",
        "--metrics",
        "--random-weights VALUE",
        "--reranking, --rerank",
    } <= {*said}


def test_missing_model_is_named(server: Server, tmp_path: Path) -> None:
    missing = str(tmp_path / "missing.gguf")
    assert refuses(server, missing, "-m", missing, "--port", "0")


def test_truncated_model_is_named(server: Server, tmp_path: Path) -> None:
    model = weights_in(tmp_path)
    os.truncate(model, 100_000)
    assert refuses(server, str(model), "-m", str(model), "--port", "0")


def test_the_reason_is_written_before_the_last_word_and_the_end(tmp_path: Path) -> None:
    """The log of llama.cpp goes to a pipe that takes nothing yet, the program's words elsewhere."""
    model = weights_in(tmp_path)
    os.truncate(model, 100_000)
    apart = (
        "import os, sys; from reconciler.embedded import server; sys.stderr = os.fdopen(1, 'w');"
        " server.main(sys.argv[1:])"
    )
    log, full = os.pipe()
    os.write(full, bytes(fcntl.fcntl(full, fcntl.F_SETPIPE_SZ, PIPE_BYTES)))
    words = [sys.executable, "-c", apart, "-m", str(model), "--port", "0"]
    engine = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=full)
    os.close(full)
    with engine, os.fdopen(log, "rb") as reasons:
        assert engine.stdout is not None
        assert select.select([engine.stdout], [], [], ENDS_WITHIN)[0] == []
        assert b"exiting due to model loading error" in reasons.read()
        assert str(model) in engine.stdout.read().decode()


def test_taken_port_is_named(server: Server, tmp_path: Path) -> None:
    model = weights_in(tmp_path)
    with server.running(model) as engine:
        assert refuses(server, f"port: {engine.port}", "-m", str(model), "--port", str(engine.port))
        assert health(engine) == http.HTTPStatus.OK


def test_api_key_in_the_environment_is_required(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LLAMA_API_KEY", "secret")
    with server.running(weights_in(tmp_path)) as engine:
        assert engine.request("GET", "/slots").status == http.HTTPStatus.UNAUTHORIZED
        assert "secret" not in engine.output()


def test_random_weights_are_written_when_the_model_is_missing(tmp_path: Path) -> None:
    model = tmp_path / "made.gguf"
    with EMBEDDED.running(model, "--random-weights", "1") as engine:
        assert engine.complete("hello")["tokens_predicted"] == 8
    assert model.read_bytes() == weights_in(tmp_path).read_bytes()


def test_random_weights_in_a_missing_directory_are_refused(tmp_path: Path) -> None:
    said = refusal(EMBEDDED, "-m", str(tmp_path / "missing" / "made.gguf"), "--random-weights", "1")
    assert said.count("\n") == 1
    assert "No such file or directory" in said
