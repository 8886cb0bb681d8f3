"""The command lines of llama-server and what is read from them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from pydantic import ValidationError

from reconciler.drivers.engines import embedded, llamacpp
from reconciler.drivers.engines.llama.flags import state_files, state_flags
from reconciler.drivers.engines.llama.weights import judged
from tests.rig import spec

MIB = 1024**2
HEADER: dict[str, Any] = {
    "path": "/w.gguf", "exists": True, "size": 1000 * MIB, "modified_ns": 7, "problem": "",
    "architecture": "llama", "context_length": 8192, "key_length": 64, "value_length": 64,
    "sliding_window": 0, "recurrent": False, "kv_bytes_per_token": 16384,
    "tensor_bytes": 1000 * MIB,
}  # fmt: skip


def weights(
    header: dict[str, Any], *args: str, context: int | None = None, task: Any = "chat"
) -> Any:
    options = llamacpp.Options(weights="/w.gguf", args=args, context=context)
    return judged(
        header, options.setup(), spec(llamacpp.command(options, "m", 8080), 8080, task=task)
    )


def test_every_default_that_loses_conversations_is_spelled_out() -> None:
    command = llamacpp.command(
        llamacpp.Options(weights="/models/a.gguf", context=65536, args=("-ngl", "99")), "qwen", 8081
    )
    assert (
        " ".join(command.argv)
        == "llama-server --model /models/a.gguf --alias qwen --host 127.0.0.1 --port 8081"
        " --parallel 1 --slot-save-path slots --metrics --fit off --cache-ram 0"
        " --no-cache-idle-slots --ctx-size 65536 -ngl 99"
    )
    assert command.env == {"GGML_NO_BACKTRACE": "1"}
    assert command.folders == ("slots",)


def test_an_engine_sees_the_cards_of_its_model_by_the_numbers_of_the_driver() -> None:
    env = llamacpp.command(llamacpp.Options(weights="/w.gguf"), "m", 8080, (1, 0)).env
    assert env == {
        "GGML_NO_BACKTRACE": "1",
        "CUDA_DEVICE_ORDER": "PCI_BUS_ID",
        "CUDA_VISIBLE_DEVICES": "1,0",
    }


@pytest.mark.parametrize("key", ["binary", "weights", "slots"])
@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("~/llama", "expected a path that begins with /; ~ is not expanded here"),
        ("$HOME/llama", r"expected a path that begins with /; \$ is not expanded here"),
        ("${MODELS}/llama", r"expected a path that begins with /; \$ is not expanded here"),
        ("https://hf.co/llama.gguf", "expected a file of its host; nothing is downloaded here"),
    ],
)
def test_a_path_that_only_a_shell_or_a_download_makes_one_is_refused(
    key: str, written: str, said: str
) -> None:
    with pytest.raises(ValidationError, match=said):
        llamacpp.Options.model_validate({"weights": "/w.gguf", key: written})


def test_a_context_that_is_not_given_is_the_models_own() -> None:
    command = llamacpp.command(llamacpp.Options(weights="a.gguf"), "m", 8080)
    assert "--ctx-size" not in command.argv
    assert weights(HEADER).context == 8192
    assert weights(HEADER, context=1024).context == 1024


def test_a_slot_directory_that_may_be_shared_has_a_folder_for_each_model() -> None:
    options = llamacpp.Options(weights="a.gguf", slots="/var/lib/llm/slots")
    command = llamacpp.command(options, "qwen", 8080)
    assert command.folders == ("/var/lib/llm/slots/qwen",)
    assert "/var/lib/llm/slots/qwen" in command.argv


def test_a_slot_directory_does_not_leave_the_models_own() -> None:
    with pytest.raises(ValidationError, match="leaves the model's own directory"):
        llamacpp.Options(weights="a.gguf", slots="../slots")


def test_the_embedded_engine_writes_random_weights_into_its_own_directory() -> None:
    words = embedded.command(embedded.Options(seed=7), "m", 8080).argv
    assert words[1].endswith("/reconciler/embedded/server.py")
    assert words[2:6] == ("--random-weights", "7", "--model", "weights-7.gguf")
    assert "4096" in words


@pytest.mark.parametrize("source", [{}, {"seed": 1, "weights": "a.gguf"}], ids=["neither", "both"])
def test_the_embedded_engine_has_one_source_of_weights(source: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="either weights"):
        embedded.Options(**source)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("-m", "x"), "key weights"),
        (("--model", "x"), "key weights"),
        (("--hf-repo", "x"), "key weights"),
        (("-c", "1"), "key context"),
        (("--ctx-size=1",), "key context"),
        (("-np", "2"), "key parallel"),
        (("--parallel", "2"), "key parallel"),
        (("--port", "1"), "key port"),
        (("--slot-save-path", "x"), "key slots"),
        (("--alias=x",), "the model's name"),
        (("--host", "0.0.0.0"), "loopback"),  # noqa: S104
        (
            ("--host", "/run/llama.sock"),
            (
                "reached over a TCP port on the loopback address of their host, not .* at a unix"
                " socket"
            ),
        ),
        (("--ctx_size", "1"), "--ctx_size is set by the key context"),
        (("--port=1",), "key port"),
        (("-np4",), "-np4 is set by the key parallel"),
        (("-c=4096",), "key context"),
        (("--port 9999",), "--port 9999 is set by the key port"),
        (("--gpt-oss-20b-default",), "downloads weights"),
        (("--list-devices",), "would print that and end"),
        (("--no-slots",), "how conversations are seen"),
        (("--metrics",), "always on"),
        (("--fit", "on"), "it is off"),
        (("-cram", "10"), "cannot be saved"),
        (("--cache-idle-slots",), "cleared"),
        (("--api-key", "x"), "is named with `key:`"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_a_flag_that_is_not_theirs_is_refused_naming_what_sets_it(
    words: tuple[str, ...], said: str
) -> None:
    with pytest.raises(ValidationError, match=said):
        llamacpp.Options(weights="a.gguf", args=("-ngl", "99", *words))


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["-ngl 99"], '"-ngl 99" is one word, expected "-ngl", "99"'),
        (["--jinja", "--temp\t0.5 "], r'"--temp\\t0.5 " is one word, expected "--temp", "0.5 "'),
        (["-ngl ", "99"], '"-ngl " is one word, expected "-ngl"'),
        (["ngl", "99"], "ngl stands before every flag"),
        (["\u2013ngl", "99"], "begins with a long dash"),
        ("-ngl 99 -ot 'a b'", r'a list of words, such as \["-ngl", "99", "-ot", "a b"\]'),
        ({"ngl": 99}, r'a list of words, such as \["-ngl", "99"\]'),
        (99, r'a list of words, such as \["-ngl", "99"\]'),
        ("--it's", r'a list of words, such as \["--it\'s"\]'),
        (["--jinja", "a\0b"], "pattern"),
    ],
)
def test_words_that_no_program_would_take_for_a_flag_are_refused_with_how_to_write_them(
    args: object, said: str
) -> None:
    with pytest.raises(ValidationError, match=said):
        llamacpp.Options.model_validate({"weights": "a.gguf", "args": args})


LONG = (
    *(
        "--jinja",
        "-ot",
        r"blk\.(1[0-9]|2[0-9])\.ffn_.*_exps\.=CPU, output=CPU",
        "-ctk",
        "q8_0",
        "-fa",
        "on",
        "--temp",
        "-0.5",
    ),
    *(
        "--chat-template-kwargs",
        '{"enable_thinking": false, "note": "it\'s"}',
        "-r",
        "- user: -c 5",
        "-l",
        "-5+1",
    ),
)


def test_every_word_arrives_as_it_is_written() -> None:
    assert (
        llamacpp.command(llamacpp.Options(weights="a.gguf", args=LONG), "m", 8080).argv[
            -len(LONG) :
        ]
        == LONG
    )


def test_all_refused_flags_are_named_at_once() -> None:
    with pytest.raises(ValidationError, match=r"--port is set.*; -c is set"):
        llamacpp.Options(weights="a.gguf", args=("--port", "1", "-c", "2"))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("-ctk q8_0", "--cache-type-k q8_0"),
        ("-fa on -ctv f16", "-ctv f16 --flash-attn on"),
        ("--cache_type_k q8_0", "-ctk q8_0"),
        ("--rope-freq-base -.5", "--rope_freq_base=-.5"),
        ("--rope-freq-base 10000", "--rope-freq-base=10000"),
        ("--threads 4 --swa-full", "--swa-full --threads 8 --temp 0.1"),
    ],
)
def test_spelling_order_and_what_does_not_matter_leave_saved_slots_usable(
    one: str, other: str
) -> None:
    assert state_flags(one.split(), 1) == state_flags(other.split(), 1)


@pytest.mark.parametrize(
    "words",
    [
        "-ctk q8_0", "--cache-type-v q8_0", "-fa off", "--swa-full", "--rope-scaling yarn",
        "--rope-freq-base 1", "--yarn-orig-ctx 4096", "--override-kv a=int:1",
        "--control-vector c.gguf", "--lora l.gguf", "--lora-scaled l.gguf:0.5", "--mmproj p.gguf",
        "-ngl 10", "-ctk f16 -ctk q8_0",
    ],
)  # fmt: skip
def test_a_flag_that_matters_keeps_saved_slots_from_being_used(words: str) -> None:
    assert state_flags(words.split(), 1) != state_flags([], 1)


def test_separate_caches_depend_on_their_number_and_a_unified_one_does_not() -> None:
    assert state_flags([], 2) != state_flags([], 1)
    assert state_flags([], 2) != state_flags([], 4)
    assert state_flags(["-kvu"], 2) == state_flags([], 1) == state_flags(["--kv-unified"], 4)


def test_files_beside_the_weights_count_as_weights() -> None:
    args = [
        "--lora",
        "a.gguf,/b.gguf",
        "--lora-scaled",
        "c.gguf:0.5",
        "-mm",
        "p.gguf",
        "--threads",
        "4",
        "-md",
        "d.gguf",
        "--lora",
    ]
    assert state_files(args, "models/m") == (
        "models/m/a.gguf",
        "/b.gguf",
        "models/m/c.gguf",
        "models/m/p.gguf",
    )


def test_memory_is_estimated_from_tensors_context_and_cache_type() -> None:
    full, half = weights(HEADER), weights(HEADER, "-ctk", "q8_0", "-ctv", "q8_0")
    assert full.kv_bytes_per_token == 16384
    assert half.kv_bytes_per_token == 16384 * 34 // 64
    assert full.memory_bytes == int((1000 + 128) * MIB * 1.05) + 256 * MIB
    assert half.memory_bytes < full.memory_bytes


@pytest.mark.parametrize(
    ("changed", "args", "task", "keepable", "remedy"),
    [
        ({}, (), "chat", True, ""),
        ({"sliding_window": 1024}, (), "chat", False, 'add "--swa-full" to args'),
        ({"sliding_window": 1024}, ("--swa-full",), "chat", True, ""),
        ({"recurrent": True}, ("--swa-full",), "chat", False, ""),
        ({}, (), "embedding", False, ""),
    ],
)
def test_whether_a_conversation_can_come_back_is_known_from_the_header(
    changed: dict[str, Any], args: tuple[str, ...], task: str, keepable: bool, remedy: str
) -> None:
    found = weights({**HEADER, **changed}, *args, task=task)
    assert (found.keepable, found.remedy) == (keepable, remedy)


@pytest.mark.parametrize(("named", "hint"), [("a.gguf", True), ("/a.gguf", False)])
def test_a_relative_path_that_leads_nowhere_is_told_as_what_it_is(named: str, hint: bool) -> None:
    options = llamacpp.Options(weights=named)
    header = {**HEADER, "exists": False, "problem": "the weights cannot be read"}
    found = judged(header, options.setup(), spec(llamacpp.command(options, "m", 8080), 8080))
    ends = "; a.gguf is relative to there, expected an absolute path" if hint else ""
    assert found.problem == f"the weights cannot be read{ends}"


def test_a_problem_of_the_weights_is_passed_on() -> None:
    found = weights({**HEADER, "problem": "the weights /w.gguf cannot be used"})
    assert found.exists
    assert found.problem == "the weights /w.gguf cannot be used"


@pytest.mark.parametrize(
    ("context", "parallel", "args", "takes"),
    [
        (512, 1, (), 512),
        (500, 1, (), 512),
        (4096, 4, (), 1024),
        (4096, 4, ("-kvu",), 4096),
        (None, 1, (), None),
        (0, 1, (), None),
    ],
)
def test_what_a_slot_takes_is_told_by_the_command_line(
    context: int | None, parallel: int, args: tuple[str, ...], takes: int | None
) -> None:
    setup = embedded.Options(seed=1).setup()
    of_it = replace(setup, context=context, parallel=parallel, args=args)
    assert of_it.slot_tokens == takes
