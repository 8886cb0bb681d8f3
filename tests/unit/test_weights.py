"""Random weights are well-formed GGUF files, the same for a seed, as the gguf package reads."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import gguf
import numpy as np
import pytest

from reconciler.embedded import weights
from reconciler.embedded.weights import ARCHITECTURES, write_weights

if TYPE_CHECKING:
    from pathlib import Path


def field(reader: gguf.GGUFReader, key: str) -> object:
    """Read one metadata value."""
    found = reader.get_field(key)
    assert found is not None, key
    return found.contents()


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_header_says_what_was_asked_for(tmp_path: Path, architecture: str) -> None:
    write_weights(
        tmp_path / "w.gguf",
        seed=1,
        architecture=architecture,
        width=128,
        layers=3,
        context_length=777,
    )
    reader = gguf.GGUFReader(tmp_path / "w.gguf")
    assert field(reader, "general.architecture") == architecture
    assert field(reader, f"{architecture}.context_length") == 777
    assert field(reader, f"{architecture}.embedding_length") == 128
    assert field(reader, f"{architecture}.block_count") == 3
    assert field(reader, "tokenizer.ggml.model") == "llama"


def test_only_the_sliding_window_architecture_has_a_window(tmp_path: Path) -> None:
    keys = {}
    for architecture in ARCHITECTURES:
        write_weights(tmp_path / "w.gguf", seed=1, architecture=architecture)
        keys[architecture] = gguf.GGUFReader(tmp_path / "w.gguf").get_field(
            f"{architecture}.attention.sliding_window"
        )
    assert [architecture for architecture, found in keys.items() if found is not None] == ["gemma3"]


def test_hybrid_has_layers_without_keys_and_values(tmp_path: Path) -> None:
    write_weights(tmp_path / "w.gguf", seed=1, architecture="lfm2", layers=4)
    assert field(gguf.GGUFReader(tmp_path / "w.gguf"), "lfm2.attention.head_count_kv") == [
        0,
        2,
        0,
        2,
    ]


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_tensors_are_the_ones_the_architecture_knows(tmp_path: Path, architecture: str) -> None:
    write_weights(tmp_path / "w.gguf", seed=1, architecture=architecture)
    number = next(arch for arch, name in gguf.MODEL_ARCH_NAMES.items() if name == architecture)
    known = {
        gguf.TENSOR_NAMES[tensor].format(bid=layer)
        for tensor in gguf.MODEL_TENSORS[number]
        for layer in (0, 1)
    }
    written = {
        tensor.name.removesuffix(".weight")
        for tensor in gguf.GGUFReader(tmp_path / "w.gguf").tensors
    }
    assert written - {"output"} <= known


def test_values_are_finite_small_and_no_row_repeats(tmp_path: Path) -> None:
    write_weights(tmp_path / "w.gguf", seed=1)
    for tensor in gguf.GGUFReader(tmp_path / "w.gguf").tensors:
        values = np.asarray(tensor.data, dtype=np.float32)
        assert np.isfinite(values).all()
        assert np.abs(values).max() <= 1
        rows = values[values.any(axis=-1)] if values.ndim > 1 else values[:0]
        assert len(np.unique(rows, axis=0)) == len(rows)


def test_every_byte_has_a_token(tmp_path: Path) -> None:
    write_weights(tmp_path / "w.gguf", seed=1)
    tokens = field(gguf.GGUFReader(tmp_path / "w.gguf"), "tokenizer.ggml.tokens")
    assert isinstance(tokens, list)
    assert {f"<0x{byte:02X}>" for byte in range(256)} <= set(tokens)
    assert len(tokens) == len(set(tokens))


def test_same_seed_gives_same_bytes_and_another_seed_others(tmp_path: Path) -> None:
    contents = []
    for seed in (1, 1, 2):
        write_weights(tmp_path / "w.gguf", seed=seed)
        contents.append((tmp_path / "w.gguf").read_bytes())
    assert contents[0] == contents[1]
    assert contents[0] != contents[2]
    assert contents[0][-100_000:] != contents[2][-100_000:]


def test_default_file_is_a_few_hundred_kilobytes_and_alone(tmp_path: Path) -> None:
    write_weights(tmp_path / "w.gguf", seed=1)
    assert 200_000 < (tmp_path / "w.gguf").stat().st_size < 500_000
    assert [path.name for path in tmp_path.iterdir()] == ["w.gguf"]


def test_size_follows_from_width_and_layers(tmp_path: Path) -> None:
    write_weights(tmp_path / "w.gguf", seed=1, width=512, layers=4)
    assert (tmp_path / "w.gguf").stat().st_size == pytest.approx(4 * 13 * 512 * 512 * 2, rel=0.1)


def test_failed_write_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "w.gguf").mkdir()
    with pytest.raises(OSError, match="directory"):
        write_weights(tmp_path / "w.gguf", seed=1)
    assert [path.name for path in tmp_path.iterdir()] == ["w.gguf"]


@pytest.mark.parametrize(
    ("shape", "sentence"),
    [
        ({"architecture": "gpt2"}, "expected one of llama, gemma3, lfm2"),
        ({"width": 96}, "width is 96; expected a positive multiple of 64"),
        ({"layers": 0}, "layers is 0"),
    ],
)
def test_impossible_shape_is_refused(
    tmp_path: Path, shape: dict[str, object], sentence: str
) -> None:
    with pytest.raises(ValueError, match=sentence):
        write_weights(tmp_path / "w.gguf", **{"seed": 1, **shape})  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())


def test_program_writes_the_same_file(tmp_path: Path) -> None:
    script, made = str(weights.__file__), tmp_path / "made.gguf"
    arguments = [str(made), "--seed", "3", "--architecture", "lfm2"]
    subprocess.run([sys.executable, script, *arguments], check=True, timeout=30)
    write_weights(tmp_path / "w.gguf", seed=3, architecture="lfm2")
    assert made.read_bytes() == (tmp_path / "w.gguf").read_bytes()
