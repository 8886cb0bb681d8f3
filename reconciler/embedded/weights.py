"""Small GGUF files of random weights, for the real llama.cpp code to load and generate from.

The text is nonsense, everything else is real: metadata, vocabulary, attention and state. Also a
program: `python weights.py PATH --seed 7 --architecture gemma3`.
"""

from __future__ import annotations

import argparse
import math
import os
import random
import string
import struct
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    Value = bool | int | float | str | Sequence[int] | Sequence[float] | Sequence[str]

ARCHITECTURES = ("llama", "gemma3", "lfm2")
"""Full attention; sliding-window attention; a hybrid of attention and recurrent convolutions."""

SLIDING_WINDOW = 128
CONVOLUTION_CACHE = 3

_ALIGNMENT = 32
# A prime, so that no row length divides it and tiled rows differ.
_BLOCK_VALUES = 65_521
_UINT32, _INT32, _FLOAT32, _BOOL, _STRING, _ARRAY = 4, 5, 6, 7, 8, 9
_ITEM_TYPES = {str: _STRING, float: _FLOAT32, int: _INT32}
_F32, _F16 = 0, 1
_NORMAL, _UNKNOWN, _CONTROL, _BYTE = 1, 2, 3, 6

_SYLLABLES = tuple(consonant + vowel for consonant in "bcdfghjklmnpqrstvwxyz" for vowel in "aeiou")
_CHAT_TEMPLATE = (
    "{% for message in messages %}{{ message.role }}: {{ message.content }}\n{% endfor %}"
    "{% if add_generation_prompt %}assistant:{% endif %}"
)

_TOKENIZING: dict[str, Value] = {
    "tokenizer.ggml.unknown_token_id": 0,
    "tokenizer.ggml.bos_token_id": 1,
    "tokenizer.ggml.eos_token_id": 2,
    "tokenizer.ggml.add_bos_token": True,
    "tokenizer.ggml.add_eos_token": False,
    "tokenizer.chat_template": _CHAT_TEMPLATE,
}


@dataclass(frozen=True)
class Shape:
    """What decides the tensors of a model: an architecture and its sizes."""

    architecture: str
    width: int
    layers: int
    context_length: int

    def __post_init__(self) -> None:
        """Raise ValueError for a shape that llama.cpp would refuse."""
        if self.architecture not in ARCHITECTURES:
            known = ", ".join(ARCHITECTURES)
            raise ValueError(
                f"architecture {self.architecture!r} is unknown; expected one of {known}"
            )
        self._refuse_sizes()

    def _refuse_sizes(self) -> None:
        if self.width < 64 or self.width % 64:  # noqa: PLR2004  two heads of 32, then heads of 64
            raise ValueError(f"width is {self.width}; expected a positive multiple of 64")
        if self.layers < 1 or self.context_length < 1:
            raise ValueError(
                f"layers is {self.layers} and context_length {self.context_length}; expected both"
                " to be at least 1"
            )

    @property
    def heads(self) -> int:
        """Count the attention heads, which are 64 wide, or 32 in narrow models."""
        return max(2, self.width // 64)

    @property
    def head_width(self) -> int:
        """Divide the width among the heads."""
        return self.width // self.heads

    def recurrent(self, layer: int) -> bool:
        """Whether a layer has a recurrent state, not keys and values: the even ones of a hybrid."""
        return self.architecture == "lfm2" and layer % 2 == 0


@dataclass(frozen=True)
class Tensor:
    """One tensor: dimensions in GGUF order (fastest first) and how its values are made."""

    name: str
    dimensions: tuple[int, ...]
    constant: float | None = None
    zero_rows: int = 0

    @property
    def element_type(self) -> int:
        """Its GGUF type: half precision for matrices, single for all else."""
        # llama.cpp wants vectors and convolutions in single precision.
        return _F32 if self.constant is not None or ".conv." in self.name else _F16

    @property
    def size(self) -> int:
        """Count the bytes of the values, without padding."""
        return math.prod(self.dimensions) * (4 if self.element_type == _F32 else 2)


def write_weights(
    path: Path,
    *,
    seed: int,
    architecture: str = "llama",
    width: int = 64,
    layers: int = 2,
    context_length: int = 4096,
) -> None:
    """Write a GGUF file of random weights to `path`, whole or not at all.

    The same arguments give the same bytes, another seed other weights. A layer holds 13 x width x
    width half-precision values: width 1024 and 4 layers give about 110 MB, width 2048 and 10 layers
    1.1 GB. Raises ValueError for a shape that cannot be, OSError when the file cannot be written.
    """
    shape = Shape(architecture, width, layers, context_length)
    # A name of this process: two engines may be started at once, with one seed.
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with partial.open("wb") as file:
            _write(file, shape, seed)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    _sync_directory(path.parent)


def _write(file: BinaryIO, shape: Shape, seed: int) -> None:
    tensors = list(_tensors(shape, vocabulary=len(_vocabulary())))
    _write_header(file, {**_hyperparameters(shape, seed), **_tokenizer()}, tensors)
    stream = _RandomStream(seed, bound=math.sqrt(3 / shape.width))
    for tensor in tensors:
        _write_tensor(file, tensor, stream)
        _pad(file)


def _write_header(file: BinaryIO, metadata: dict[str, Value], tensors: list[Tensor]) -> None:
    file.write(b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(metadata)))
    file.writelines(_string(key) + _typed(value) for key, value in metadata.items())
    offset = 0
    for tensor in tensors:
        file.write(_head(tensor, offset))
        offset += _padded(tensor.size)
    _pad(file)


def _head(tensor: Tensor, offset: int) -> bytes:
    count = len(tensor.dimensions)
    dimensions = struct.pack(f"<I{count}Q", count, *tensor.dimensions)
    return _string(tensor.name) + dimensions + struct.pack("<IQ", tensor.element_type, offset)


def _hyperparameters(shape: Shape, seed: int) -> dict[str, Value]:
    own = {**_sizes(shape), **_peculiar(shape)}
    return {
        "general.architecture": shape.architecture,
        "general.name": f"random {shape.architecture} {seed}",
        "general.file_type": 1,
        **{f"{shape.architecture}.{key}": value for key, value in own.items()},
    }


def _sizes(shape: Shape) -> dict[str, Value]:
    return {
        "context_length": shape.context_length,
        "embedding_length": shape.width,
        "block_count": shape.layers,
        "feed_forward_length": 3 * shape.width,
        "attention.head_count": shape.heads,
        "attention.head_count_kv": _key_value_heads(shape),
        "attention.layer_norm_rms_epsilon": 1e-5,
        "rope.dimension_count": shape.head_width,
        "rope.freq_base": 10_000.0,
    }


def _key_value_heads(shape: Shape) -> Value:
    """Count them, for each layer where layers differ."""
    if shape.architecture != "lfm2":
        return shape.heads
    return [0 if shape.recurrent(layer) else shape.heads for layer in range(shape.layers)]


def _peculiar(shape: Shape) -> dict[str, Value]:
    """List what only one architecture has."""
    if shape.architecture == "gemma3":
        width = shape.head_width
        lengths: dict[str, Value] = {f"attention.{part}_length": width for part in ("key", "value")}
        return {**lengths, "attention.sliding_window": SLIDING_WINDOW}
    if shape.architecture == "lfm2":
        return {"vocab_size": len(_vocabulary()), "shortconv.l_cache": CONVOLUTION_CACHE}
    return {}


def _vocabulary() -> list[tuple[str, float, int]]:
    """List (piece, score, type): control, every byte, single characters, then the syllables."""
    control = [("<unk>", 0.0, _UNKNOWN), ("<s>", 0.0, _CONTROL), ("</s>", 0.0, _CONTROL)]
    fallback = [(f"<0x{byte:02X}>", 0.0, _BYTE) for byte in range(256)]
    characters = "▁" + string.ascii_letters + string.digits + string.punctuation
    # Syllables alone get generated, and split in one way only: generated text is tokenised again to
    # the very tokens it was made of.
    syllables = _normal(_SYLLABLES, -1.0) + _normal([f"▁{piece}" for piece in _SYLLABLES], -2.0)
    return control + fallback + _normal(characters, -3.0) + syllables


def _normal(pieces: Iterable[str], score: float) -> list[tuple[str, float, int]]:
    return [(piece, score, _NORMAL) for piece in pieces]


def _tokenizer() -> dict[str, Value]:
    pieces, scores, kinds = zip(*_vocabulary(), strict=True)
    return {
        "tokenizer.ggml.model": "llama",
        "tokenizer.ggml.tokens": pieces,
        "tokenizer.ggml.scores": scores,
        "tokenizer.ggml.token_type": kinds,
        **_TOKENIZING,
    }


def _tensors(shape: Shape, vocabulary: int) -> Iterator[Tensor]:
    """List the tensors llama.cpp expects for the architecture."""
    yield Tensor("token_embd.weight", (shape.width, vocabulary))
    yield _norm("token_embd_norm" if shape.architecture == "lfm2" else "output_norm", shape.width)
    # Only syllables have an output row that is not zero, so that generation neither ends by itself
    # nor emits odd bytes.
    silent = vocabulary - 2 * len(_SYLLABLES)
    yield Tensor("output.weight", (shape.width, vocabulary), zero_rows=silent)
    for layer in range(shape.layers):
        for tensor in _layer(shape, layer):
            yield Tensor(f"blk.{layer}.{tensor.name}", tensor.dimensions, tensor.constant)


def _layer(shape: Shape, layer: int) -> Iterator[Tensor]:
    yield from _convolution(shape) if shape.recurrent(layer) else _attention(shape)
    yield from _feed_forward(shape)


def _norm(name: str, width: int) -> Tensor:
    return Tensor(f"{name}.weight", (width,), constant=1.0)


def _attention(shape: Shape) -> Iterator[Tensor]:
    yield _norm("attn_norm", shape.width)
    for name in ("attn_q", "attn_k", "attn_v", "attn_output"):
        yield _matrix(name, shape.width, shape.width)
    if shape.architecture != "llama":
        yield _norm("attn_q_norm", shape.head_width)
        yield _norm("attn_k_norm", shape.head_width)
    if shape.architecture == "gemma3":
        yield _norm("post_attention_norm", shape.width)


def _matrix(name: str, columns: int, rows: int) -> Tensor:
    return Tensor(f"{name}.weight", (columns, rows))


def _convolution(shape: Shape) -> Iterator[Tensor]:
    yield _norm("attn_norm", shape.width)
    yield _matrix("shortconv.conv", CONVOLUTION_CACHE, shape.width)
    yield _matrix("shortconv.in_proj", shape.width, 3 * shape.width)
    yield _matrix("shortconv.out_proj", shape.width, shape.width)


def _feed_forward(shape: Shape) -> Iterator[Tensor]:
    yield _norm("ffn_norm", shape.width)
    yield _matrix("ffn_gate", shape.width, 3 * shape.width)
    yield _matrix("ffn_up", shape.width, 3 * shape.width)
    yield _matrix("ffn_down", 3 * shape.width, shape.width)
    if shape.architecture == "gemma3":
        yield _norm("post_ffw_norm", shape.width)


class _RandomStream:
    """Endless uniform values in [-bound, bound]: one random block over and over."""

    def __init__(self, seed: int, bound: float) -> None:
        values = _uniform(seed, bound)
        self._blocks = {_F16: _packed("e", values), _F32: _packed("f", values)}
        self._position = 0

    def chunks(self, count: int, element_type: int) -> Iterator[memoryview]:
        """Yield the bytes of the next `count` values."""
        block = self._blocks[element_type]
        item_size = len(block) // _BLOCK_VALUES
        while count:
            begin = self._position
            end = min(begin + count, _BLOCK_VALUES)
            yield block[begin * item_size : end * item_size]
            self._position = end % _BLOCK_VALUES
            count -= end - begin


def _uniform(seed: int, bound: float) -> list[float]:
    generator = random.Random(seed)  # noqa: S311  weights, not secrets
    return [(2 * generator.random() - 1) * bound for _ in range(_BLOCK_VALUES)]


def _packed(code: str, values: list[float]) -> memoryview:
    return memoryview(struct.pack(f"<{len(values)}{code}", *values))


def _write_tensor(file: BinaryIO, tensor: Tensor, stream: _RandomStream) -> None:
    count = math.prod(tensor.dimensions)
    if tensor.constant is not None:
        file.write(struct.pack("<f", tensor.constant) * count)
        return
    zeros = tensor.zero_rows * tensor.dimensions[0]
    file.write(bytes(zeros * tensor.size // count))
    file.writelines(stream.chunks(count - zeros, tensor.element_type))


def _typed(value: Value) -> bytes:
    if isinstance(value, str):
        return struct.pack("<I", _STRING) + _string(value)
    if isinstance(value, (list, tuple)):
        return _array(value)
    # To Python, True is a number too.
    if isinstance(value, bool):
        return struct.pack("<I?", _BOOL, value)
    if isinstance(value, int):
        return struct.pack("<II", _UINT32, value)
    return struct.pack("<If", _FLOAT32, value)


def _array(values: Sequence[int | float | str]) -> bytes:
    head = struct.pack("<IIQ", _ARRAY, _ITEM_TYPES[type(values[0])], len(values))
    return head + b"".join(map(_untyped, values))


def _untyped(item: float | str) -> bytes:
    """Write an item of an array, which has no type of its own."""
    return _typed(item)[4:]


def _string(text: str) -> bytes:
    encoded = text.encode()
    return struct.pack("<Q", len(encoded)) + encoded


def _padded(size: int) -> int:
    return -(-size // _ALIGNMENT) * _ALIGNMENT


def _pad(file: BinaryIO) -> None:
    file.write(bytes(_padded(file.tell()) - file.tell()))


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def main(arguments: list[str]) -> None:
    """Run the program."""
    parser = _parser()
    given = vars(parser.parse_args(arguments))
    try:
        write_weights(given.pop("path"), **given)
    except (ValueError, OSError) as error:
        parser.exit(1, f"error: {error}\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Write a small GGUF file of random weights.")
    parser.add_argument("path", type=Path)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--architecture", choices=ARCHITECTURES, default="llama")
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--context-length", type=int, default=4096)
    return parser


if __name__ == "__main__":
    main(sys.argv[1:])
