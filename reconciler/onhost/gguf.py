"""What the header of a GGUF file says (versions 2 and 3), read without believing any of it.

Counts, lengths and the header as a whole are capped; arrays are skipped, never built; whatever is
wrong becomes the sentence `problem`.
"""

from __future__ import annotations

import math
import os
import stat
import struct
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, Union

from reconciler.onhost import files
from reconciler.onhost.cursor import CHUNK, HEADER_LIMIT, Cursor
from reconciler.onhost.problem import HostProblem, explain, explained
from reconciler.onhost.remembered import Remembered

KEYS_LIMIT = 65_536
TENSORS_LIMIT = 262_144
NAME_LIMIT = 65_535
TEXT_LIMIT = 1024
LAYERS_LIMIT = 4096
DIMENSIONS_LIMIT = 8
REMEMBERED = 256

BLOCKS = {
    0: (1, 4), 1: (1, 2), 2: (32, 18), 3: (32, 20), 6: (32, 22), 7: (32, 24), 8: (32, 34),
    9: (32, 40), 10: (256, 84), 11: (256, 110), 12: (256, 144), 13: (256, 176), 14: (256, 210),
    15: (256, 292), 16: (256, 66), 17: (256, 74), 18: (256, 98), 19: (256, 50), 20: (32, 18),
    21: (256, 110), 22: (256, 82), 23: (256, 136), 24: (1, 1), 25: (1, 2), 26: (1, 4), 27: (1, 8),
    28: (1, 8), 29: (256, 56), 30: (1, 2), 34: (256, 54), 35: (256, 66), 39: (32, 17), 40: (64, 36),
    41: (128, 18),
}  # fmt: skip
"""For each tensor type: how many values one block holds, and how many bytes it takes."""

_VERSIONS = (2, 3)
_STRING, _ARRAY = 8, 9
_SCALARS = dict(zip((*range(8), 10, 11, 12), "BbHhIifBQqd"))
_F16_BYTES = 2
_RANK = 4
"""What `ARCHITECTURE.pooling_type` is of weights that score documents: LLAMA_POOLING_TYPE_RANK in
llama.cpp."""

if TYPE_CHECKING:
    from collections.abc import Iterable

Scalar = Union[int, float, str, list[int]]

_known = Remembered[dict[str, Any]](REMEMBERED)


class Header(NamedTuple):
    """What one file says: short values by key, where its tensors begin and how far they reach."""

    values: dict[str, Any]
    start: int
    reach: int
    tensor_bytes: int | None


def header(path: str) -> dict[str, Any]:
    """Answer what a GGUF file, with all its shards, says about itself.

    `problem` is "" when it can be used.
    """
    answer = {"path": path, "exists": False, "size": 0, "modified_ns": 0, "problem": ""}
    try:
        status = os.stat(path)
        answer.update(exists=True, size=status.st_size, modified_ns=status.st_mtime_ns)
        if not stat.S_ISREG(status.st_mode):
            answer["problem"] = f"the weights {path} cannot be read: it is not a regular file"
        else:
            answer.update(_model(path))
    except HostProblem as problem:
        answer["problem"] = str(problem)
    except OSError as error:
        answer["problem"] = f"the weights {path} cannot be read: {explain(error)}"
    return answer


def _model(path: str) -> dict[str, Any]:
    """Describe a model from the headers of all its files; raise HostProblem."""
    shards = files.shards(path)
    if files.part(path) > 1:
        raise HostProblem(
            f"the weights {path} are a later part of a split model; name its first, {shards[0]}"
        )
    stamps = tuple((shard, *_stamp(shard)) for shard in shards)
    return _known.get(stamps, partial(_read, path, sum(stamp[1] for stamp in stamps)))


def _read(path: str, size: int) -> dict[str, Any]:
    """Read and describe a model whose files have so many bytes."""
    headers = [_header(shard) for shard in files.shards(path)]
    if len(headers) == 1:
        _refuse_one_of_many(path, headers[0])
    tensor_bytes = _total(one.tensor_bytes for one in headers)
    return {
        **_described(headers[0].values),
        "size": size,
        "shards": len(headers),
        # Where a type of tensor is not known, its bytes are some of those of the files.
        "tensor_bytes": size if tensor_bytes is None else tensor_bytes,
    }


def _refuse_one_of_many(path: str, header: Header) -> None:
    """Raise HostProblem for a part of a split model that is not called like one."""
    expected = _whole(header.values, "split.count", 1)
    if expected > 1:
        raise HostProblem(
            f"the weights {path} are one of {expected} parts, but their name does not end in"
            f" -00001-of-{expected:05d}.gguf"
        )


def _total(sizes: Iterable[int | None]) -> int | None:
    """Add up sizes; None where one is not known."""
    known = list(sizes)
    return None if None in known else sum(size or 0 for size in known)


def _stamp(path: str) -> tuple[int, int, int, int]:
    """Tell what changes when a file does, its size first; raise HostProblem when it is missing."""
    with explained(f"the weights' part {path} cannot be read"):
        status = os.stat(path)
        return status.st_size, status.st_mtime_ns, status.st_ino, status.st_dev


def _header(path: str) -> Header:
    """Read one file's header; raise HostProblem with its path when it cannot be used."""
    with files.open_to_read(path) as file:
        try:
            found = _parse(Cursor(file))
            _refuse_cut(found, os.fstat(file.fileno()).st_size)
        except HostProblem as problem:
            raise HostProblem(f"the weights {path} cannot be used: {problem}") from problem
    return found


def _refuse_cut(header: Header, size: int) -> None:
    missing = header.start + header.reach - size
    if missing > 0:
        raise HostProblem(
            f"its tensors reach {missing} bytes past its end of {size} bytes; was the download"
            " interrupted?"
        )


def _parse(cursor: Cursor) -> Header:
    """Read the header under a cursor."""
    _read_version(cursor)
    tensors, keys = _read_counts(cursor)
    values = dict(_pair(cursor) for _ in range(keys))
    found = [_tensor(cursor) for _ in range(tensors)]
    start = _aligned(cursor.position, values) if found else 0
    return Header(values, start, _reach(found), _total(size for _, size in found))


def _read_counts(cursor: Cursor) -> tuple[int, int]:
    """Read how many tensors and keys follow; raise HostProblem for more than can be."""
    tensors, keys = cursor.count(), cursor.count()
    if tensors > TENSORS_LIMIT or keys > KEYS_LIMIT:
        raise HostProblem(f"it claims {tensors} tensors and {keys} keys; its header is damaged")
    return tensors, keys


def _reach(tensors: list[tuple[int, int | None]]) -> int:
    """Find how far the tensors reach for certain, from where the first begins."""
    return max((offset + (size or 0) for offset, size in tensors), default=0)


def _read_version(cursor: Cursor) -> None:
    """Raise HostProblem for what is not GGUF of a version that is known."""
    if cursor.take(4) != b"GGUF":
        raise HostProblem("it is not a GGUF file")
    version = cursor.kind()
    if version not in _VERSIONS:
        swapped = int.from_bytes(version.to_bytes(4, "little"), "big")
        kind = "big-endian GGUF" if swapped in _VERSIONS else f"GGUF version {version}"
        raise HostProblem(f"it is {kind}, and only little-endian versions 2 and 3 are known")


def _pair(cursor: Cursor) -> tuple[str, Scalar | None]:
    name = _text(cursor, NAME_LIMIT, NAME_LIMIT)
    # The one array that is wanted: how many heads each layer has.
    return name, _value(cursor, cursor.kind(), name.endswith(".head_count_kv"))


def _aligned(position: int, values: dict[str, Any]) -> int:
    # A file may claim any alignment: one of 0 would be divided by, a huge one believed.
    alignment = min(max(_whole(values, "general.alignment", 32), 1), CHUNK)
    return -(-position // alignment) * alignment


def _text(cursor: Cursor, limit: int, keep: int) -> str:
    """Read the first `keep` bytes of a string as text.

    Raise HostProblem when it is longer than `limit`.
    """
    length = cursor.count()
    if length > limit:
        raise HostProblem(
            f"it holds a text of {length} bytes where at most {limit} are expected; its header is"
            " damaged"
        )
    kept = cursor.take(min(length, keep))
    cursor.skip(length - len(kept))
    return kept.decode("utf-8", "replace")


def _value(cursor: Cursor, kind: int, by_layer: bool) -> Scalar | None:
    """Read a short value; step over a long one, which is None."""
    if kind == _STRING:
        return _text(cursor, HEADER_LIMIT, TEXT_LIMIT)
    if kind == _ARRAY:
        return _array(cursor, by_layer)
    return cursor.number(_code(kind, "a value"))


def _array(cursor: Cursor, by_layer: bool) -> list[int] | None:
    inner, count = cursor.kind(), cursor.count()
    if inner == _STRING:
        cursor.skip_strings(count)
        return None
    code = _code(inner, "an array")
    if by_layer and count <= LAYERS_LIMIT:
        return _whole_numbers(cursor, code, count)
    cursor.skip(count * struct.calcsize("<" + code))
    return None


def _whole_numbers(cursor: Cursor, code: str, count: int) -> list[int]:
    numbers = [cursor.number(code) for _ in range(count)]
    return [number for number in numbers if isinstance(number, int)]


def _code(kind: int, what: str) -> str:
    if kind in _SCALARS:
        return _SCALARS[kind]
    raise HostProblem(f"it holds {what} of type {kind}, which is not known; its header is damaged")


def _scalar(cursor: Cursor, kind: int) -> int | float:
    number: int | float = cursor.number(_code(kind, "a value"))
    return number


def _tensor(cursor: Cursor) -> tuple[int, int | None]:
    """Read where a tensor begins among the tensors, and its bytes: None for an unknown type."""
    _text(cursor, NAME_LIMIT, 0)
    values = math.prod(_dimensions(cursor))
    kind, offset = cursor.kind(), cursor.count()
    return offset, _bytes(kind, values)


def _dimensions(cursor: Cursor) -> list[int]:
    count = cursor.kind()
    if count > DIMENSIONS_LIMIT:
        raise HostProblem(f"it holds a tensor of {count} dimensions; its header is damaged")
    return [cursor.count() for _ in range(count)]


def _bytes(kind: int, values: int) -> int | None:
    block = BLOCKS.get(kind)
    return None if block is None else -(-values // block[0]) * block[1]


def _whole(values: dict[str, Any], key: str, default: int) -> int:
    """Read a value that should be a whole number, not negative."""
    value = values.get(key)
    return value if isinstance(value, int) and value >= 0 else default


def _words(values: dict[str, Any], key: str) -> str:
    value = values.get(key)
    return value if isinstance(value, str) else ""


def _described(values: dict[str, Any]) -> dict[str, Any]:
    """Choose what matters of a model's keys."""
    architecture = _words(values, "general.architecture")
    short = _below(values, architecture + ".")
    return {
        "architecture": architecture,
        "type": _words(values, "general.type"),
        "name": _words(values, "general.name"),
        "context_length": _whole(short, "context_length", 0),
        "ranks": short.get("pooling_type") == _RANK,
        "sliding_window": _whole(short, "attention.sliding_window", 0),
        "recurrent": _is_recurrent(values, short),
        **_attention(short),
    }


def _below(values: dict[str, Any], prefix: str) -> dict[str, Any]:
    """Choose the keys that begin with a prefix, without it."""
    begin = len(prefix)
    return {key[begin:]: value for key, value in values.items() if key.startswith(prefix)}


def _is_recurrent(values: dict[str, Any], short: dict[str, Any]) -> bool:
    by_layer = short.get("attention.head_count_kv")
    # A layer without keys and values is one that keeps a state instead.
    return any(map(_is_of_state, values)) or (isinstance(by_layer, list) and 0 in by_layer)


def _is_of_state(key: str) -> bool:
    return ".ssm." in key or ".shortconv." in key


def _attention(short: dict[str, Any]) -> dict[str, Any]:
    """Describe the heads, and what keys and values of one token take."""
    layers, heads = _whole(short, "block_count", 0), _heads(short)
    by_layer = short.get("attention.head_count_kv", heads)
    key_length, value_length = _lengths(short, heads)
    count = _key_value_heads(short, layers, heads)
    return {
        "block_count": layers,
        "head_count": heads,
        "head_count_kv": by_layer if isinstance(by_layer, (int, list)) else heads,
        "key_length": key_length,
        "value_length": value_length,
        "kv_bytes_per_token": max(0, count) * (key_length + value_length) * _F16_BYTES,
    }


def _lengths(short: dict[str, Any], heads: int) -> list[int]:
    """Find how many values a key and a value have in one head."""
    width = _whole(short, "embedding_length", 0) // heads if heads else 0
    return [_whole(short, f"attention.{part}_length", width) for part in ("key", "value")]


def _heads(short: dict[str, Any]) -> int:
    """Count the heads of the layer that has most."""
    heads = short.get("attention.head_count")
    if isinstance(heads, list):
        return max(heads, default=0)
    return _whole(short, "attention.head_count", 0)


def _key_value_heads(short: dict[str, Any], layers: int, heads: int) -> int:
    """Count the key and value heads of all layers together."""
    by_layer = short.get("attention.head_count_kv", heads)
    if isinstance(by_layer, list):
        return sum(by_layer)
    return layers * _whole(short, "attention.head_count_kv", heads)
