"""A model is named by its file, in the shortest way that tells it from the others."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.core.onboarding.model_names import is_name, names, slug


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/models/Qwen3-Coder-30B-A3B-Instruct-Q4_K_M.gguf", "qwen3-coder-30b-a3b-instruct"),
        ("/models/Qwen3-Coder-30B-A3B-Instruct-UD-Q4_K_XL.gguf", "qwen3-coder-30b-a3b-instruct"),
        ("/models/gemma-3-27b-it.Q8_0.gguf", "gemma-3-27b-it"),
        ("/models/gpt-oss-20b-mxfp4.gguf", "gpt-oss-20b"),
        ("/models/glm-4.5-air-IQ2_XXS-00001-of-00003.gguf", "glm-4.5-air"),
        ("/models/bge-m3-F16.gguf", "bge-m3"),
        ("/models/Mein Modell (neu).gguf", "mein-modell-neu"),
        ("/models/TinyLlama/ggml-model-q4_0.gguf", "tinyllama"),
        ("model.gguf", "model"),
        ("/hub/models--org--Tiny-GGUF/snapshots/" + "0a" * 20 + "/model.gguf", "tiny-gguf"),
        ("/----.gguf", "model"),
        ("/hub/models--acme--Tiny/blobs/" + "0f" * 32, "tiny"),
        ("/blobs/" + "0f" * 20, "model"),
    ],
)
def test_a_file_is_named_without_its_quantisation(path: str, name: str) -> None:
    assert names([path]) == (name,)


def test_two_quantisations_keep_theirs() -> None:
    assert names(["/m/a-Q4_K_M.gguf", "/m/a-Q8_0.gguf", "/m/b-Q8_0.gguf"]) == (
        "a-q4_k_m",
        "a-q8_0",
        "b",
    )


def test_two_blobs_of_one_repository_are_numbered_and_no_digest_is_a_name() -> None:
    blobs = [f"/hub/models--acme--Tiny/blobs/{number:064x}" for number in (1, 2)]
    assert names(blobs) == ("tiny", "tiny-2")


def test_names_that_are_still_the_same_are_numbered() -> None:
    assert names(["/m/a.gguf", "/n/a.gguf", "/n/b.gguf"], ["a", "b"]) == ("a-2", "a-3", "b-2")


@given(st.lists(st.text(max_size=90)))
def test_every_name_may_be_used_and_no_two_are_the_same(paths: list[str]) -> None:
    found = names(paths)
    assert len(set(found)) == len(paths)
    assert all(is_name(name) for name in found)


@given(st.text())
def test_a_slug_is_a_name_and_stays_as_it_is(text: str) -> None:
    assert is_name(slug(text))
    assert slug(slug(text)) == slug(text)
