"""Headers of GGUF files: as the reference reader sees them, and never believed when damaged."""

from __future__ import annotations

import struct
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import gguf as reference
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.embedded.weights import write_weights
from reconciler.onhost import cursor, gguf

if TYPE_CHECKING:
    from collections.abc import Sequence


def write_model(
    path: Path, *, heads_kv: int | Sequence[int] = 2, extra: dict[str, int] | None = None
) -> None:
    writer = reference.GGUFWriter(path, "llama")
    writer.add_name("A Name")
    writer.add_context_length(4096)
    writer.add_block_count(3)
    writer.add_embedding_length(64)
    writer.add_head_count(4)
    writer.add_head_count_kv(heads_kv)
    writer.add_token_list([f"token{number}" for number in range(300)])
    writer.add_token_scores([0.5] * 300)
    for key, value in (extra or {}).items():
        writer.add_uint32(key, value)
    writer.add_tensor("a.weight", np.zeros((64, 32), dtype=np.float16))
    writer.add_tensor("b.weight", np.zeros((8, 64), dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


@cache
def model_content() -> bytes:
    with TemporaryDirectory() as folder:
        write_model(Path(folder) / "m.gguf", heads_kv=[2, 0, 4])
        return (Path(folder) / "m.gguf").read_bytes()


def read(content: bytes) -> dict[str, Any]:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "m.gguf"
        path.write_bytes(content)
        return gguf.header(str(path))


def test_a_model_is_described_as_it_was_written(tmp_path: Path) -> None:
    write_model(tmp_path / "m.gguf")
    found = gguf.header(str(tmp_path / "m.gguf"))
    expected = {
        "architecture": "llama", "name": "A Name", "context_length": 4096, "block_count": 3,
        "head_count": 4, "head_count_kv": 2, "key_length": 16, "value_length": 16,
        "sliding_window": 0, "recurrent": False, "problem": "", "shards": 1, "exists": True,
        "kv_bytes_per_token": 3 * 2 * (16 + 16) * 2, "tensor_bytes": 64 * 32 * 2 + 8 * 64 * 4,
        "size": (tmp_path / "m.gguf").stat().st_size,
    }  # fmt: skip
    assert {key: found[key] for key in expected} == expected


def test_layers_without_attention_are_recurrent(tmp_path: Path) -> None:
    write_model(tmp_path / "m.gguf", heads_kv=[2, 0, 4])
    found = gguf.header(str(tmp_path / "m.gguf"))
    assert (found["head_count_kv"], found["recurrent"]) == ([2, 0, 4], True)
    assert found["kv_bytes_per_token"] == 6 * 32 * 2


@pytest.mark.parametrize("key", ["llama.ssm.state_size", "llama.shortconv.l_cache"])
def test_state_space_keys_are_recurrent(tmp_path: Path, key: str) -> None:
    write_model(tmp_path / "m.gguf", extra={key: 3})
    assert gguf.header(str(tmp_path / "m.gguf"))["recurrent"] is True


def test_explicit_lengths_and_windows_win(tmp_path: Path) -> None:
    extra = {
        "llama.attention.key_length": 128,
        "llama.attention.value_length": 64,
        "llama.attention.sliding_window": 512,
    }
    write_model(tmp_path / "m.gguf", extra=extra)
    found = gguf.header(str(tmp_path / "m.gguf"))
    assert (found["key_length"], found["value_length"], found["sliding_window"]) == (128, 64, 512)
    assert found["kv_bytes_per_token"] == 3 * 2 * (128 + 64) * 2


@pytest.mark.parametrize("architecture", ["llama", "gemma3", "lfm2"])
def test_whole_models_agree_with_the_reference_reader(tmp_path: Path, architecture: str) -> None:
    path = tmp_path / "m.gguf"
    write_weights(path, seed=1, architecture=architecture)
    oracle, found = reference.GGUFReader(path), gguf.header(str(path))

    def value(key: str) -> Any:
        field = oracle.fields.get(f"{architecture}.{key}")
        return field.contents() if field else None

    assert found["problem"] == ""
    assert found["architecture"] == oracle.fields["general.architecture"].contents()
    assert found["context_length"] == value("context_length")
    assert found["block_count"] == value("block_count")
    assert found["head_count_kv"] == value("attention.head_count_kv")
    assert found["sliding_window"] == (value("attention.sliding_window") or 0)
    assert found["tensor_bytes"] == sum(tensor.n_bytes for tensor in oracle.tensors)
    assert found["recurrent"] == (architecture == "lfm2")


def test_every_tensor_type_has_the_size_of_the_reference() -> None:
    assert {int(kind): size for kind, size in reference.GGML_QUANT_SIZES.items()} == gguf.BLOCKS


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "cut short"),
        (b"GGML" + b"\0" * 40, "not a GGUF file"),
        (b"GGUF" + struct.pack("<IQQ", 1, 0, 0), "GGUF version 1"),
        (b"GGUF" + struct.pack(">IQQ", 3, 0, 0), "big-endian"),
        (b"GGUF" + struct.pack("<IQQ", 3, 2**60, 0), "header is damaged"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 2**60), "header is damaged"),
        (b"GGUF" + struct.pack("<IQQQ", 3, 0, 1, 2**60), "header is damaged"),
        (b"GGUF" + struct.pack("<IQQQ1sI", 3, 0, 1, 1, b"k", 99), "value of type 99"),
        (b"GGUF" + struct.pack("<IQQQ1sIQ", 3, 0, 1, 1, b"k", 8, 2**63), "header is damaged"),
        (b"GGUF" + struct.pack("<IQQQ1sIIQ", 3, 0, 1, 1, b"k", 9, 9, 1), "array of type 9"),
        (b"GGUF" + struct.pack("<IQQQ1sIIQ", 3, 0, 1, 1, b"k", 9, 4, 2**62), "cut short"),
        (b"GGUF" + struct.pack("<IQQQ1sIIQ", 3, 0, 1, 1, b"k", 9, 8, 2**62), "cut short"),
        (b"GGUF" + struct.pack("<IQQQ1sI", 3, 1, 0, 1, b"t", 2**31), "dimensions"),
    ],
)
def test_damage_is_named(content: bytes, said: str) -> None:
    assert said in read(content)["problem"]


def test_a_missing_file_is_no_exception(tmp_path: Path) -> None:
    found = gguf.header(str(tmp_path / "m.gguf"))
    assert (found["exists"], "there is no such file" in found["problem"]) == (False, True)
    assert "not a regular file" in gguf.header(str(tmp_path))["problem"]


def test_a_download_that_was_cut_is_seen(tmp_path: Path) -> None:
    write_model(tmp_path / "m.gguf")
    content = (tmp_path / "m.gguf").read_bytes()
    assert "reach 1 bytes past its end" in read(content[:-1])["problem"]
    assert "was the download interrupted?" in read(content[: len(content) // 2])["problem"]


def test_a_missing_part_is_named_and_all_parts_count(tmp_path: Path) -> None:
    parts = [tmp_path / f"m-0000{number}-of-00002.gguf" for number in (1, 2)]
    write_model(parts[0], extra={"split.count": 2})
    assert "m-00002-of-00002.gguf cannot be read" in gguf.header(str(parts[0]))["problem"]
    write_model(parts[1])
    found = gguf.header(str(parts[0]))
    assert (found["problem"], found["shards"]) == ("", 2)
    assert found["size"] == sum(part.stat().st_size for part in parts)
    assert found["tensor_bytes"] == 2 * (64 * 32 * 2 + 8 * 64 * 4)


def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    write_model(path)
    assert gguf.header(str(path))["problem"] == ""
    path.write_bytes(b"GGUF")
    assert "cut short" in gguf.header(str(path))["problem"]


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_no_damage_raises(drawn: st.DataObject) -> None:
    content = bytearray(model_content())
    for _ in range(drawn.draw(st.integers(1, 4))):
        place = drawn.draw(st.one_of(st.integers(0, 400), st.integers(0, len(content) - 1)))
        content[place] = drawn.draw(
            st.sampled_from([0, 1, 7, 8, 9, 0x7F, 0x80, 0xFF, content[place] ^ 1])
        )
    found = read(
        bytes(content[: drawn.draw(st.one_of(st.just(len(content)), st.integers(0, len(content))))])
    )
    assert isinstance(found["problem"], str)
    assert found["problem"] or found["kv_bytes_per_token"] >= 0


def test_a_header_without_an_end_is_read_up_to_its_limit_only(tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    with path.open("wb") as file:
        file.write(b"GGUF" + struct.pack("<IQQQ1sIIQ", 3, 0, 1, 1, b"k", 9, 0, 2**40))
        file.truncate(2**40)
    assert f"larger than {cursor.HEADER_LIMIT} bytes" in gguf.header(str(path))["problem"]
