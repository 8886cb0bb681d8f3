"""Read the header of a GGUF file, versions 2 and 3, without believing anything that it says.

Counts, lengths and the header as a whole are capped; arrays are skipped, never built; whatever is
wrong becomes the sentence `problem`.
"""

from __future__ import annotations

import os
import stat
import struct
import threading
from typing import Any, BinaryIO, NamedTuple, Union

from reconciler.onhost import files
from reconciler.onhost.problem import HostProblem, explain

HEADER_LIMIT = 64 * 1024 * 1024
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

_CHUNK = 1024 * 1024
_STRING, _ARRAY, _BOOL = 8, 9, 7
_SCALARS = {
    0: "B",
    1: "b",
    2: "H",
    3: "h",
    4: "I",
    5: "i",
    6: "f",
    7: "B",
    10: "Q",
    11: "q",
    12: "d",
}
_F16_BYTES = 2
_RANK = 4
"""What `ARCHITECTURE.pooling_type` is of weights that score documents: LLAMA_POOLING_TYPE_RANK in
llama.cpp."""

Scalar = Union[int, float, str, list[int]]

_known: dict[tuple[Any, ...], dict[str, Any]] = {}
_known_lock = threading.Lock()


class Header(NamedTuple):
    """What one file says: short values by key, where its tensors begin, and how far each reaches."""

    values: dict[str, Any]
    start: int
    reach: int
    tensor_bytes: int | None


class _Cursor:
    """Read forward through at most HEADER_LIMIT bytes of a file."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._buffer, self._dropped = file, b"", 0
        self._at = 0

    @property
    def position(self) -> int:
        """How far into the file it is."""
        return self._dropped + self._at

    def need(self, count: int) -> int:
        """Have `count` bytes ready and step over them; return where in the buffer they begin."""
        if self._at + count > len(self._buffer):
            self._fill(count)
        begin, self._at = self._at, self._at + count
        return begin

    def _fill(self, count: int) -> None:
        """Read on until `count` bytes are ready."""
        self._dropped, self._buffer, self._at = (
            self._dropped + self._at,
            self._buffer[self._at :],
            0,
        )
        if self._dropped + count > HEADER_LIMIT:
            raise HostProblem(f"its header is larger than {HEADER_LIMIT} bytes, or damaged")
        wanted = min(max(count, _CHUNK), HEADER_LIMIT - self._dropped)
        while len(self._buffer) < count:
            chunk = self._file.read(wanted - len(self._buffer))
            if not chunk:
                raise HostProblem("its header is cut short; was the download interrupted?")
            self._buffer += chunk

    def take(self, count: int) -> bytes:
        """Return the next bytes."""
        begin = self.need(count)
        return self._buffer[begin : begin + count]

    def number(self, code: str) -> Any:  # noqa: ANN401  the code decides the type
        """Return the next number, little endian, of a struct code."""
        return struct.unpack_from("<" + code, self._buffer, self.need(struct.calcsize("<" + code)))[
            0
        ]

    def skip(self, count: int) -> None:
        """Step over bytes, however many, without keeping them."""
        while count > 0:
            step = min(count, _CHUNK)
            self.need(step)
            count -= step

    def skip_strings(self, count: int) -> None:
        """Step over strings: the one loop that a vocabulary makes long."""
        unpack = struct.Struct("<Q").unpack_from
        for _ in range(count):
            begin = self._at
            if begin + 8 > len(self._buffer):
                self.skip(self.number("Q"))
                continue
            length = unpack(self._buffer, begin)[0]
            if begin + 8 + length > len(self._buffer):
                self.need(8)
                self.skip(length)
            else:
                self._at = begin + 8 + length


def header(path: str) -> dict[str, Any]:
    """Answer what a GGUF file, with all its shards, says about itself.

    `problem` is "" when it can be used.
    """
    try:
        status = os.stat(path)
    except OSError as error:
        missing = explain(error)
        return {
            "path": path,
            "exists": False,
            "size": 0,
            "modified_ns": 0,
            "problem": f"the weights {path} cannot be read: {missing}",
        }
    answer = {
        "path": path,
        "exists": True,
        "size": status.st_size,
        "modified_ns": status.st_mtime_ns,
        "problem": "",
    }
    if not stat.S_ISREG(status.st_mode):
        return {**answer, "problem": f"the weights {path} cannot be read: it is not a regular file"}
    try:
        return {**answer, **_model(path)}
    except HostProblem as problem:
        return {**answer, "problem": str(problem)}
    except OSError as error:
        return {**answer, "problem": f"the weights {path} cannot be read: {explain(error)}"}


def _model(path: str) -> dict[str, Any]:
    """Describe a model from the headers of all its files; raise HostProblem."""
    shards = files.shards(path)
    if files.part(path) > 1:
        raise HostProblem(
            f"the weights {path} are a later part of a split model; name its first, {shards[0]}"
        )
    keys = [(shard, *_stamp(shard)) for shard in shards]
    with _known_lock:
        remembered = _known.get(tuple(keys))
    if remembered is not None:
        return remembered
    headers = [_header(shard) for shard in shards]
    total = sum(key[1] for key in keys)
    tensor_bytes = [one.tensor_bytes for one in headers]
    described = {
        **_described(headers[0].values),
        "size": total,
        "shards": len(shards),
        "tensor_bytes": total if None in tensor_bytes else sum(each or 0 for each in tensor_bytes),
    }
    expected = _whole(headers[0].values, "split.count", 1)
    if len(shards) == 1 and expected > 1:
        wanted = f"-00001-of-{expected:05d}.gguf"
        raise HostProblem(
            f"the weights {path} are one of {expected} parts, but their name does not end in"
            f" {wanted}"
        )
    with _known_lock:
        while len(_known) >= REMEMBERED:
            _known.pop(next(iter(_known)))
        _known[tuple(keys)] = described
    return described


def _stamp(path: str) -> tuple[int, int, int, int]:
    """Return what changes when a file does, its size first.

    Raise HostProblem when it is missing.
    """
    try:
        status = os.stat(path)
    except OSError as error:
        raise HostProblem(f"the weights' part {path} cannot be read: {explain(error)}") from error
    return status.st_size, status.st_mtime_ns, status.st_ino, status.st_dev


def _header(path: str) -> Header:
    """Read one file's header; raise HostProblem with its path when it cannot be used."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(descriptor, "rb", buffering=0) as file:
        size = os.fstat(descriptor).st_size
        try:
            found = _parse(_Cursor(file))
        except HostProblem as problem:
            raise HostProblem(f"the weights {path} cannot be used: {problem}") from problem
    missing = found.start + found.reach - size
    if missing > 0:
        reach = f"its tensors reach {missing} bytes past its end of {size} bytes"
        raise HostProblem(
            f"the weights {path} cannot be used: {reach}; was the download interrupted?"
        )
    return found


def _parse(cursor: _Cursor) -> Header:
    """Read the header under a cursor."""
    if cursor.take(4) != b"GGUF":
        raise HostProblem("it is not a GGUF file")
    version = cursor.number("I")
    if version not in {2, 3}:
        swapped = int.from_bytes(version.to_bytes(4, "little"), "big")
        kind = "big-endian GGUF" if swapped in {2, 3} else f"GGUF version {version}"
        raise HostProblem(f"it is {kind}, and only little-endian versions 2 and 3 are known")
    tensors, keys = cursor.number("Q"), cursor.number("Q")
    if tensors > TENSORS_LIMIT or keys > KEYS_LIMIT:
        raise HostProblem(f"it claims {tensors} tensors and {keys} keys; its header is damaged")
    values: dict[str, Any] = {}
    for _ in range(keys):
        name = _text(cursor, NAME_LIMIT, NAME_LIMIT)
        values[name] = _value(cursor, cursor.number("I"), name.endswith(".head_count_kv"))
    ends = [_tensor(cursor) for _ in range(tensors)]
    sizes = [size for _, size in ends]
    total = None if None in sizes else sum(size or 0 for size in sizes)
    alignment = min(max(_whole(values, "general.alignment", 32), 1), _CHUNK)
    start = -(-cursor.position // alignment) * alignment
    return Header(
        values,
        start if tensors else 0,
        max((offset + (size or 0) for offset, size in ends), default=0),
        total,
    )


def _text(cursor: _Cursor, limit: int, keep: int) -> str:
    """Return the first `keep` bytes of a string as text.

    Raise HostProblem when it is longer than `limit`.
    """
    length = cursor.number("Q")
    if length > limit:
        raise HostProblem(
            f"it holds a text of {length} bytes where at most {limit} are expected; its header is"
            " damaged"
        )
    kept = cursor.take(min(length, keep))
    cursor.skip(length - len(kept))
    return kept.decode("utf-8", "replace")


def _value(cursor: _Cursor, kind: int, by_layer: bool) -> Scalar | None:
    """Return a short value and step over a long one, which is None."""
    if kind == _STRING:
        return _text(cursor, HEADER_LIMIT, TEXT_LIMIT)
    if kind != _ARRAY:
        return _scalar(cursor, kind)
    inner, count = cursor.number("I"), cursor.number("Q")
    if inner == _STRING:
        cursor.skip_strings(count)
    elif inner not in _SCALARS:
        raise HostProblem(
            f"it holds an array of type {inner}, which is not known; its header is damaged"
        )
    elif by_layer and count <= LAYERS_LIMIT:
        return [
            int(number)
            for number in (_scalar(cursor, inner) for _ in range(count))
            if isinstance(number, int)
        ]
    else:
        cursor.skip(count * struct.calcsize("<" + _SCALARS[inner]))
    return None


def _scalar(cursor: _Cursor, kind: int) -> int | float:
    """Return one number."""
    if kind not in _SCALARS:
        raise HostProblem(
            f"it holds a value of type {kind}, which is not known; its header is damaged"
        )
    number: int | float = cursor.number(_SCALARS[kind])
    return number


def _tensor(cursor: _Cursor) -> tuple[int, int | None]:
    """Return where a tensor begins among the tensors and its bytes, None for a type that is not known."""
    _text(cursor, NAME_LIMIT, 0)
    dimensions = cursor.number("I")
    if dimensions > DIMENSIONS_LIMIT:
        raise HostProblem(f"it holds a tensor of {dimensions} dimensions; its header is damaged")
    values = 1
    for _ in range(dimensions):
        values *= cursor.number("Q")
    kind, offset = cursor.number("I"), cursor.number("Q")
    block = BLOCKS.get(kind)
    return offset, None if block is None else -(-values // block[0]) * block[1]


def _whole(values: dict[str, Any], key: str, default: int) -> int:
    """Return a value that should be a whole number, not negative."""
    value = values.get(key)
    return value if isinstance(value, int) and value >= 0 else default


def _described(values: dict[str, Any]) -> dict[str, Any]:
    """Return what matters of a model's keys."""
    text = values.get("general.architecture")
    architecture = text if isinstance(text, str) else ""
    short = {
        key[len(architecture) + 1 :]: value
        for key, value in values.items()
        if key.startswith(architecture + ".")
    }
    layers, heads = _whole(short, "block_count", 0), short.get("attention.head_count")
    heads = (
        max(heads, default=0)
        if isinstance(heads, list)
        else _whole(short, "attention.head_count", 0)
    )
    by_layer = short.get("attention.head_count_kv", heads)
    width = _whole(short, "embedding_length", 0) // heads if heads else 0
    key_length, value_length = (
        _whole(short, f"attention.{part}_length", width) for part in ("key", "value")
    )
    count = (
        sum(by_layer)
        if isinstance(by_layer, list)
        else layers * _whole(short, "attention.head_count_kv", heads)
    )
    recurrent = any(".ssm." in key or ".shortconv." in key for key in values) or (
        isinstance(by_layer, list) and 0 in by_layer
    )
    return {
        "architecture": architecture,
        "type": values.get("general.type") if isinstance(values.get("general.type"), str) else "",
        "name": values.get("general.name") if isinstance(values.get("general.name"), str) else "",
        "context_length": _whole(short, "context_length", 0),
        "ranks": short.get("pooling_type") == _RANK,
        "block_count": layers,
        "head_count": heads,
        "head_count_kv": by_layer if isinstance(by_layer, (int, list)) else heads,
        "key_length": key_length,
        "value_length": value_length,
        "sliding_window": _whole(short, "attention.sliding_window", 0),
        "recurrent": recurrent,
        "kv_bytes_per_token": max(0, count) * (key_length + value_length) * _F16_BYTES,
    }
