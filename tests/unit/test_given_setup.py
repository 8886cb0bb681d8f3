"""What an operator's command line says of conversations."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.drivers.engines import llamacpp
from reconciler.drivers.engines.llama.given_setup import GivenSetup, given_setup
from reconciler.model.given_command import GivenCommand

KEEPS = (
    "-m", "/models/w.gguf", "-c", "8192", "-np", "2", "--slot-save-path", "kv", "-cram", "0",
)  # fmt: skip
CLAIMED = llamacpp.Options(parallel=3).setup()


def read(*words: str, port: int | None = None, **said: Any) -> GivenSetup:
    command = GivenCommand(words=words, directory="/srv", adding="add `", **said)
    return given_setup(command, CLAIMED, llamacpp._code, port)


def test_a_command_line_that_keeps_conversations_is_read_as_it_is() -> None:
    setup, *why, _ = read("/opt/llama-server", *KEEPS, "-ctk", "q8_0", "--host", "0.0.0.0")  # noqa: S104
    assert why == ["", ""]
    assert (setup.weights, setup.slots, setup.shares) == ("/models/w.gguf", "/srv/kv", False)
    assert (setup.context, setup.parallel) == (8192, 2)
    assert (setup.code, setup.args) == (("/opt/llama-server", "/opt/"), ("-ctk", "q8_0"))


def test_variables_are_flags_and_those_of_the_command_line_win() -> None:
    variables = {
        "LLAMA_ARG_MODEL": "/w",
        "LLAMA_ARG_N_PARALLEL": "1",
        "LLAMA_ARG_CACHE_RAM": "0",
        "LLAMA_ARG_FIT": "off",
        "LLAMA_ARG_SWA_FULL": "true",
        "LLAMA_ARG_KV_OFFLOAD": "0",
    }
    setup, *why, _ = read(
        "llama-server", "--slot-save-path", "/kv", "-np", "4", variables=variables
    )
    assert why == ["", ""]
    assert (setup.weights, setup.parallel, setup.context) == ("/w", 4, None)
    assert {"--swa-full", "--no-kv-offload"} <= {*setup.args}


@pytest.mark.parametrize(
    ("reached", "is_read_only"), [(("/", "/srv"), True), (("/srv/kv",), False)]
)
def test_a_folder_that_it_may_only_read_keeps_nothing(
    reached: tuple[str, ...], is_read_only: bool
) -> None:
    _, *why, _ = read("llama-server", *KEEPS, reached=reached, read_only=("/srv",))
    said = ["/srv/kv is read-only in the container", "mount it without `:ro`"]
    assert why == (said if is_read_only else ["", ""])


@pytest.mark.parametrize(
    ("words", "lacking"),
    [
        ((), "--slot-save-path /FOLDER --cache-ram 0 --parallel 3 --fit off"),
        (("-np", "-1", *KEEPS[:4], *KEEPS[6:]), "--parallel 3"),
        ((*KEEPS[:2], *KEEPS[4:]), "--fit off"),
        ((*KEEPS, "--cache-ram", "8192"), "--cache-ram 0"),
    ],
)
def test_what_it_lacks_is_named_as_it_is_added(words: tuple[str, ...], lacking: str) -> None:
    _, *why, _ = read("llama-server", *words)
    assert why == [f"its command line has no `{lacking}`", f"add `{lacking}`"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("docker", "run", "llama-server", "-m", "/x"), "it runs `docker run ...`"),
        (("/usr/bin/env", "llama-server"), "it runs `/usr/bin/env llama-server ...`"),
        ((), "it runs ` ...`"),
    ],
)
def test_the_flags_of_another_program_are_not_known(words: tuple[str, ...], said: str) -> None:
    setup, *why, _ = read(*words)
    assert setup == CLAIMED
    assert why == [f"{said}, of which the flags of llama-server are not known", ""]


def test_what_the_host_does_not_have_or_may_not_write_is_not_kept() -> None:
    assert read("llama-server", *KEEPS, reached=("/srv/k",)).unkept == (
        "/srv/kv lies inside the container"
    )
    assert read("llama-server", *KEEPS, reached=("/srv/kv",)).unkept == ""
    assert read("llama-server", *KEEPS, user="llm").unkept == "its slot files belong to llm"
    hidden = "what it runs is not known: /etc/llm.env, its environment, cannot be read"
    problem = "/etc/llm.env, its environment, cannot be read"
    assert read("x", problem=problem).unkept == hidden


def test_a_server_on_the_loopback_of_its_own_network_cannot_be_reached() -> None:
    said = "it listens on the loopback of its own network; add `--host 0.0.0.0`"
    assert read("llama-server", *KEEPS, apart=True).unreachable == said
    assert read("llama-server", *KEEPS, "--host", "127.0.0.1", apart=True).unreachable == said
    everywhere = {"LLAMA_ARG_HOST": "0.0.0.0"}  # noqa: S104
    assert read("llama-server", *KEEPS, apart=True, variables=everywhere).unreachable == ""
    assert read("llama-server", *KEEPS).unreachable == ""


def test_a_server_on_another_port_than_is_claimed_cannot_be_reached() -> None:
    said = "its command line listens on port 8081, and inventory.yaml says `port: 8080`"
    assert read("llama-server", *KEEPS, "--port", "8081", port=8080).unreachable == said
    by_variable = {"LLAMA_ARG_PORT": "8081"}
    assert read("llama-server", *KEEPS, variables=by_variable, port=8080).unreachable == said
    assert read("llama-server", *KEEPS, "--port", "8080", port=8080).unreachable == ""
    assert read("llama-server", *KEEPS, port=8080).unreachable == ""
    assert read("llama-server", *KEEPS, "--port", "8081").unreachable == ""
