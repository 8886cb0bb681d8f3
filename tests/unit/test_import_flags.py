"""What runs by hand is read as the keys that would start it again."""

from __future__ import annotations

import pytest

from reconciler.drivers.engines.llama.flags import refused
from reconciler.drivers.engines.llama.import_flags import adopted
from reconciler.drivers.engines.llamacpp import Options

WORDS = (
    *(
        "-m",
        "models/a.gguf",
        "-c",
        "65536",
        "-np",
        "2",
        "--alias",
        "qwen,other",
        "--host",
        "10.0.0.7",
        "--port",
        "9000",
    ),
    *(
        "--metrics",
        "--api-key",
        "(hidden)",
        "--slot-save-path",
        "slots/",
        "-ngl",
        "99",
        "-fa",
        "on",
    ),
    *("--mmproj=models/mmproj.gguf", "--cache-ram", "4096", "--temp", "-1", "--jinja"),
)


def test_flags_become_keys_and_the_rest_stays_as_it_was_typed() -> None:
    found = adopted(WORDS, (), "/home/ann")
    assert (found.weights, found.context, found.parallel) == ("/home/ann/models/a.gguf", 65536, 2)
    assert (found.alias, found.slots, found.task) == ("qwen", "/home/ann/slots", "chat")
    assert found.args == (
        "-ngl",
        "99",
        "-fa",
        "on",
        "--mmproj",
        "/home/ann/models/mmproj.gguf",
        "--temp",
        "-1",
        "--jinja",
    )


def test_what_is_refused_is_left_out_with_the_reason_and_without_its_value() -> None:
    found = adopted(WORDS, (), "/home/ann")
    assert [sentence.partition(":")[0] for sentence in found.left_out] == [
        "--host",
        "--api-key",
        "--cache-ram",
    ]
    assert "10.0.0.7" not in str(found.left_out)


def test_a_server_that_runs_as_ours_would_loses_nothing() -> None:
    found = adopted(("--host", "127.0.0.1", "--fit", "off", "--cache-ram", "0"), (), "/")
    assert (found.left_out, found.args) == ((), ())


def test_what_is_adopted_is_accepted() -> None:
    found = adopted(WORDS, (), "/home/ann")
    assert list(refused(found.args)) == []
    Options(
        weights=found.weights,
        context=found.context,
        parallel=found.parallel or 1,
        slots=found.slots,
        args=found.args,
    )


def test_weights_that_were_downloaded_are_those_in_memory() -> None:
    found = adopted(("-hf", "org/repo:Q4_K_M"), ("/cache/mmproj-a.gguf", "/cache/a.gguf"), "/")
    assert found.weights == "/cache/a.gguf"
    assert found.left_out == ("-hf: the key weights names it",)


@pytest.mark.parametrize("words", [("-c", "0", "-np", "-1"), ("-c",), ("-c", "many"), ()])
def test_numbers_that_leave_it_to_the_program_are_not_taken_over(words: tuple[str, ...]) -> None:
    found = adopted(words, (), "/")
    assert (found.context, found.parallel, found.weights) == (None, None, "")


@pytest.mark.parametrize(
    ("flag", "task"),
    [
        ("--embedding", "embedding"),
        ("--embeddings", "embedding"),
        ("--reranking", "rerank"),
        ("--jinja", "chat"),
        ("--embedding --pooling rank --reranking", "rerank"),
        ("--rerank --embeddings", "rerank"),
        ("--pooling rank", "rerank"),
        ("--embedding --pooling mean", "embedding"),
        ("--pooling rank --embedding --pooling cls", "embedding"),
    ],
)
def test_the_task_is_told_by_flags_and_a_ranking_model_is_asked_to_rank(
    flag: str, task: str
) -> None:
    found = adopted(flag.split(), (), "/")
    assert (found.task, found.args) == (task, tuple(flag.split()))


def test_a_path_stays_as_it_is_where_the_folder_is_unknown() -> None:
    assert adopted(("-m", "a.gguf"), (), "").weights == "a.gguf"


@pytest.mark.parametrize("word", ["-hf", "--model-url=https://host/a.gguf"])
def test_a_download_is_refused_with_the_way_to_have_it_before(word: str) -> None:
    (sentence,) = refused((word, "org/repo"))
    assert sentence.startswith(
        f"{word} downloads weights, and what is started here has to be there: "
    )
    assert "set the key weights to the file, which is then in ~/.cache/huggingface/hub/" in sentence


def test_words_before_the_first_flag_are_no_flags() -> None:
    assert adopted(("stray", "-fa"), (), "/").args == ("-fa",)
