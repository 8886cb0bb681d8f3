"""A llama-server look-alike: llama.cpp's flags, routes, logs and signals, over the xllamacpp wheel.

Runs on xllamacpp 2026.6 to 2026.10. Started by its path (`python .../server.py -m MODEL --port
8080`), so that nothing but the standard library, xllamacpp and the file beside this one is
imported. Two things differ from llama-server on purpose: the first SIGTERM or SIGINT always ends
the process at once, with status 0, where llama-server may wait for its clients; and
`--random-weights SEED` writes the model file when it is missing.
"""

from __future__ import annotations

import argparse
import ctypes
import functools
import os
import re
import signal
import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

if TYPE_CHECKING or __package__:
    from reconciler.embedded.weights import write_weights
else:
    from weights import write_weights

_ENDING_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_CACHE_TYPES = ("f32", "f16", "bf16", "q8_0", "q4_0", "q4_1", "iq4_nl", "q5_0", "q5_1")
_FLASH_ATTENTION = {"on": "ENABLED", "off": "DISABLED", "auto": "AUTO"}
_POOLING_TYPES = ("none", "mean", "cls", "last", "rank")
_AUTOMATIC_PARALLEL = 4
_OLDEST = (2026, 6)
"""The first of which slots say how many tokens they hold, and restores keep what they promise
(llama.cpp b9538)."""
_INSTALL = (
    "`pipx install --force '.[embedded]'` in a clone of the project brings it, or `pip install"
    " '.[embedded]'`"
)
_LIBRARY = "`sudo apt-get install libgomp1` brings that to Debian and Ubuntu"
_EXPECTED = (
    "2026.6 or later, and before 2027; `pip install --upgrade 'xllamacpp>=2026.6,<2027'` gets one"
)


class _Parser(argparse.ArgumentParser):
    """A parser that refuses arguments as llama-server does: one sentence, exit status 1."""

    def error(self, message: str) -> NoReturn:
        """Exit with status 1 and the reason on stderr."""
        fail(message)


def fail(reason: str) -> NoReturn:
    """Exit with status 1 and one line on stderr."""
    # stderr is this program's log.
    print(f"error: {reason}", file=sys.stderr, flush=True)  # noqa: T201
    raise SystemExit(1)


def one_of(values: Mapping[str, Any]) -> Callable[[str], Any]:
    """Make a reader of flag values that accepts these words only."""

    def read(word: str) -> Any:  # noqa: ANN401  the binding's enumerations have no types
        if word not in values:
            raise argparse.ArgumentTypeError(f"{word!r} is not one of {', '.join(values)}")
        return values[word]

    return read


def names(text: str) -> list[str]:
    """Split a list at its commas."""
    return [name for name in text.split(",") if name]


def gpu_layers(text: str) -> int:
    """Read a number of layers, `auto` or `all`; raise ValueError for anything else."""
    return {"auto": -1, "all": -2}.get(text) or int(text)


def directory(text: str) -> str:
    """Read the path of an existing directory, with the slash at its end that llama.cpp needs."""
    if not Path(text).is_dir():
        raise argparse.ArgumentTypeError(f"{text} is not an existing directory; create it first")
    return str(Path(text)) + "/"


def parser(binding: Any) -> argparse.ArgumentParser:  # noqa: ANN401
    """Build the parser.

    A flag's destination is the field of `CommonParams` that it sets, with the name that it had
    before.
    """
    flags = _Parser(
        prog="server.py", add_help=False, allow_abbrev=False, argument_default=argparse.SUPPRESS
    )
    _add_serving(flags)
    _add_pooling(flags, binding)
    _add_compute(flags, binding)
    _add_cache(flags, binding)
    return flags


def _add_serving(flags: argparse.ArgumentParser) -> None:
    add = flags.add_argument
    add("-m", "--model", dest="model.path", required=True, metavar="PATH")
    add("--alias", dest="model_alias", type=names)
    add("--host", dest="hostnames|hostname")
    add("--port", dest="port", type=int, default=8080)
    add("--api-key", dest="api_keys", type=names, default=os.environ.get("LLAMA_API_KEY", ""))
    add("--metrics", dest="endpoint_metrics", action="store_true")
    add("--slots", dest="endpoint_slots", action="store_true", default=True)
    add("--no-webui", dest="ui", action="store_false")
    add("--sleep-idle-seconds", dest="sleep_idle_seconds", type=int)
    add("--embedding", "--embeddings", dest="embedding", action="store_true")


def _add_pooling(flags: argparse.ArgumentParser, binding: Any) -> None:  # noqa: ANN401
    add = flags.add_argument
    add("--reranking", "--rerank", dest="pooling_type", action="store_const", const=_rank(binding))
    pooling = _enumerated(binding.llama_pooling_type, "LLAMA_POOLING_TYPE_", _upper(_POOLING_TYPES))
    add("--pooling", dest="pooling_type", type=pooling)


def _add_compute(flags: argparse.ArgumentParser, binding: Any) -> None:  # noqa: ANN401
    add = flags.add_argument
    flash = _enumerated(binding.llama_flash_attn_type, "LLAMA_FLASH_ATTN_TYPE_", _FLASH_ATTENTION)
    add("-fa", "--flash-attn", dest="flash_attn_type", type=flash)
    add("-ngl", "--gpu-layers", "--n-gpu-layers", dest="n_gpu_layers", type=gpu_layers)
    add("-t", "--threads", dest="cpuparams.n_threads", type=int)
    add("-b", "--batch-size", dest="n_batch", type=int)
    add("-ub", "--ubatch-size", dest="n_ubatch", type=int)
    add("--rope-freq-base", dest="rope_freq_base", type=float)
    add("--fit", dest="fit_params", type=one_of({"on": True, "off": False}))
    add("--no-warmup", dest="warmup", action="store_false")


def _add_cache(flags: argparse.ArgumentParser, binding: Any) -> None:  # noqa: ANN401
    add = flags.add_argument
    kinds = _enumerated(binding.ggml_type, "GGML_TYPE_", _upper(_CACHE_TYPES))
    add("-c", "--ctx-size", dest="n_ctx", type=int)
    add("-np", "--parallel", dest="n_parallel", type=int, default=-1)
    add("-ctk", "--cache-type-k", dest="cache_type_k", type=kinds)
    add("-ctv", "--cache-type-v", dest="cache_type_v", type=kinds)
    add("-kvu", "--kv-unified", dest="kv_unified", action="store_true")
    add("--swa-full", dest="swa_full", action="store_true")
    add("--ctx-checkpoints", "--swa-checkpoints", dest="n_ctx_checkpoints", type=int)
    add("--cache-ram", dest="cache_ram_mib", type=int)
    add("--no-cache-idle-slots", dest="cache_idle_slots", action="store_false")
    add("--slot-save-path", dest="slot_save_path", type=directory, metavar="DIR")


def _upper(words: tuple[str, ...]) -> dict[str, str]:
    return {word: word.upper() for word in words}


def _enumerated(
    enumeration: Any,  # noqa: ANN401
    prefix: str,
    words: Mapping[str, str],
) -> Callable[[str], Any]:
    """Make a reader of the words for members of an enumeration, which all begin with a prefix."""
    return one_of({word: getattr(enumeration, prefix + name) for word, name in words.items()})


def _rank(binding: Any) -> Any:  # noqa: ANN401
    return binding.llama_pooling_type.LLAMA_POOLING_TYPE_RANK


def parameters(binding: Any, fields: Mapping[str, Any]) -> Any:  # noqa: ANN401
    """Set the given fields of a fresh `CommonParams`, and what llama-server derives from them."""
    params = binding.CommonParams()
    for path, value in fields.items():
        *parents, names = path.split(".")
        _set(functools.reduce(getattr, parents, params), names.split("|"), value)
    _derive(params, _rank(binding))
    return params


def _derive(params: Any, rank: Any) -> None:  # noqa: ANN401
    # llama-server's own start derives these from its flags.
    params.embedding = params.embedding or params.pooling_type == rank
    if params.n_parallel < 0:
        params.n_parallel = _AUTOMATIC_PARALLEL
        params.kv_unified = True


def _set(owner: Any, names: list[str], value: Any) -> None:  # noqa: ANN401
    """Set the first of these fields that this version has."""
    field = next((name for name in names if hasattr(owner, name)), names[0])
    setattr(owner, field, _fitting(getattr(owner, field), value))


def _fitting(held: Any, value: Any) -> Any:  # noqa: ANN401
    # Newer versions hold a list where older ones held a word.
    return [value] if isinstance(held, list) and isinstance(value, str) else value


def write_missing(model: Path, seed: int | None) -> None:
    """Write random weights where no model file is, given a seed; exit with status 1 without one."""
    if model.is_file():
        return
    if seed is None:
        fail(f"model file {model} does not exist; give -m a GGUF file or add --random-weights SEED")
    try:
        write_weights(model, seed=seed)
    except OSError as error:
        fail(f"cannot write random weights to {model}: {error.strerror}")


def serve(binding: Any, fields: Mapping[str, Any]) -> NoReturn:  # noqa: ANN401
    """Load the model and serve it until a signal.

    Exit with status 1 when it cannot be loaded or the port is taken.
    """
    try:
        # It serves as long as it is held.
        server = binding.Server(parameters(binding, fields))  # noqa: F841
    except RuntimeError:
        _finish_log(binding)
        fail(
            f"cannot serve {fields['model.path']} on port {fields['port']}; the reason is in the"
            " lines above"
        )
    _await_signal()
    os._exit(0)  # the binding's own ending waits for requests in flight


def _finish_log(binding: Any) -> None:  # noqa: ANN401
    """Wait until llama.cpp has written what it logged.

    Source: common/log.cpp as in xllamacpp 2026.10.
    """
    # A thread of its own writes, and an exit would end that before: the reason would be missing.
    # Where a version has no such functions, an exit waits for the thread.
    library = ctypes.CDLL(binding.xllamacpp.__file__)
    log = getattr(library, "_Z15common_log_mainv", None)
    flush = getattr(library, "_Z16common_log_flushP10common_log", None)
    if log and flush:
        log.restype, flush.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
        flush(log())


def _await_signal() -> None:
    """Wait for a signal, also for one that comes just before the wait."""
    # It leaves a byte behind, where signal.pause() would miss it.
    come, comes = os.pipe()
    os.set_blocking(comes, False)
    signal.set_wakeup_fd(comes)
    _at_an_end(lambda *_: None)
    os.read(come, 1)


def _at_an_end(react: Any) -> None:  # noqa: ANN401  a function, or one of signal's own words
    for number in _ENDING_SIGNALS:
        signal.signal(number, react)


class _Unbound:
    """A stand-in for the binding, whose import costs most, where only the names of flags matter."""

    def __getattr__(self, _: str) -> _Unbound:
        return self


def every_flag(binding: Any) -> argparse.ArgumentParser:  # noqa: ANN401
    """Build the parser of llama-server's flags and of those that are this program's own."""
    flags = parser(binding)
    flags.add_argument("--random-weights", dest="seed", type=int, default=None)
    return flags


def manual() -> str:
    """List the flags as llama-server does: all their names, and a word for the value."""
    actions = every_flag(_Unbound())._actions  # noqa: SLF001  argparse lists them nowhere else
    lines = [_line(one) for one in actions]
    return "\n".join(("----- common params -----", "-h, --help", "--version", *lines))


def _line(flag: argparse.Action) -> str:
    return ", ".join(flag.option_strings) + ("" if flag.nargs == 0 else " VALUE")


def is_older(version: str) -> bool:
    """Whether a version is before the oldest that works."""
    numbers = re.match(r"(\d+)\.(\d+)", version)
    # One that does not tell its numbers, such as a build of one's own, is tried.
    return numbers is not None and tuple(map(int, numbers.groups())) < _OLDEST


def main(arguments: list[str]) -> NoReturn:
    """Run the program."""
    # Loading keeps the interpreter busy: meanwhile only the kernel can end it.
    _at_an_end(signal.SIG_DFL)
    os.environ.setdefault("GGML_NO_BACKTRACE", "1")
    binding = _imported()
    found = f"found xllamacpp {binding.__version__}, expected {_EXPECTED}"
    if is_older(binding.__version__):
        fail(f"the embedded engine needs another xllamacpp: {found}")
    _answer_questions(arguments, binding.__version__)
    try:
        run(binding, arguments)
    except AttributeError as error:
        fail(f"{found}: {error}")


def _answer_questions(arguments: list[str], version: str) -> None:
    """Print what is asked for instead of serving, and exit."""
    if {"-h", "--help"} & {*arguments}:
        _print_and_exit(manual())
    if "--version" in arguments:
        _print_and_exit(f"xllamacpp {version}")


def _imported() -> Any:  # noqa: ANN401
    """Import the binding; exit with status 1 and the remedy where that fails."""
    try:
        return import_module("xllamacpp")
    except ImportError as error:
        remedy = _LIBRARY if "libgomp" in str(error) else _INSTALL
        fail(
            f"the embedded engine needs the Python package xllamacpp: {error}; {remedy}; or use a"
            " real llama-server"
        )


def _print_and_exit(text: str) -> NoReturn:
    print(text)  # noqa: T201  that is what was asked for
    raise SystemExit(0)


def run(binding: Any, arguments: list[str]) -> NoReturn:  # noqa: ANN401
    """Serve what the arguments say.

    Raise AttributeError for what a version of the binding has under another name.
    """
    given, unknown = every_flag(binding).parse_known_args(arguments)
    if unknown:
        fail(f"invalid argument: {unknown[0]}")
    fields = vars(given)
    write_missing(Path(fields["model.path"]), fields.pop("seed"))
    serve(binding, fields)


if __name__ == "__main__":
    main(sys.argv[1:])
