"""Where a secret is may be said; what it is, never."""

from __future__ import annotations

import pytest

from reconciler.edge import secret
from reconciler.errors import Declined
from reconciler.model.secret import FromCredential, FromEnv, FromFile, Secret, where


@pytest.mark.parametrize(
    ("place", "said"),
    [
        (FromEnv(from_env="KEY"), "the environment variable KEY"),
        (FromFile(from_file="/keys/a"), "/keys/a"),
        (FromCredential(from_credential="llm"), "the credential llm"),
    ],
)
def test_a_secret_is_told_by_its_place(place: Secret, said: str) -> None:
    assert where(place) == said


@pytest.mark.parametrize("content", ["two words", "tab\there", "ünï", "\n"])
def test_what_is_no_word_is_no_key_and_is_not_shown(
    content: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KEY", content)
    with pytest.raises(Declined, match="is no key, which is one word") as refused:
        secret.read_word(FromEnv(from_env="KEY"))
    assert content.strip() == "" or content not in refused.value.message


def test_of_several_keys_the_first_is_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEY", "first\r\nsecond\n")
    assert secret.read_words({"LLAMA_API_KEY": FromEnv(from_env="KEY")}) == {
        "LLAMA_API_KEY": "first"
    }
