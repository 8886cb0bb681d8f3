"""What nvidia-smi says of the cards of this host.

Source: `nvidia-smi -q -x`, nvsmi_device_v12.dtd and earlier.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from reconciler.onhost import commands
from reconciler.onhost.problem import HostProblem

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

SECONDS = 20.0
MIB = 1024 * 1024


def cards(seconds: float = SECONDS) -> dict[str, Any]:
    """Answer every card and what holds it, in bytes: None where it has no memory of its own."""
    from xml.etree.ElementTree import (  # noqa: PLC0415 - a megabyte that few hosts need
        ParseError,
        fromstring,
    )

    said = _said(seconds)
    try:
        log = fromstring(said)  # noqa: S314 - NVIDIA's own program wrote it
        return {"cards": [_card(index, gpu) for index, gpu in enumerate(log.findall("gpu"))]}
    except (ParseError, ValueError) as error:
        raise HostProblem(f"what nvidia-smi says cannot be understood: {error}") from error


def _said(seconds: float) -> str:
    try:
        done = commands.run(["nvidia-smi", "-q", "-x"], seconds)
    except FileNotFoundError:
        raise HostProblem(
            "there is no nvidia-smi on the PATH there; install what the NVIDIA driver brings for it"
        ) from None
    except commands.Late:
        raise HostProblem(
            f"nvidia-smi did not answer within {seconds:g} s; `dmesg` there says why, and a reboot"
            " ends it"
        ) from None
    if done.code:
        raise HostProblem(f"nvidia-smi failed: {done.said}")
    return done.out


def _card(index: int, gpu: Element) -> dict[str, Any]:
    return {
        "index": index,
        "name": _text(gpu, "product_name"),
        "uuid": _text(gpu, "uuid"),
        "total": _bytes(gpu, "fb_memory_usage/total"),
        "free": _bytes(gpu, "fb_memory_usage/free"),
        "holders": _holders(gpu),
    }


def _holders(gpu: Element) -> list[dict[str, Any]]:
    held: dict[int, dict[str, Any]] = {}
    for one in gpu.iterfind("processes/process_info"):
        told = _holder(one)
        _add(held.setdefault(told["pid"], told), told)
    return [held[pid] for pid in sorted(held)]


def _add(known: dict[str, Any], told: dict[str, Any]) -> None:
    # A process that computes and draws is listed once for each; only one may tell its memory.
    known["bytes"] = _larger(known["bytes"], told["bytes"])
    known["draws"] = known["draws"] and told["draws"]


def _larger(one: int | None, other: int | None) -> int | None:
    return max(one or 0, other or 0) or None


def _holder(process: Element) -> dict[str, Any]:
    return {
        "pid": int(_text(process, "pid")),
        "name": os.path.basename(_text(process, "process_name")),
        "bytes": _bytes(process, "used_memory"),
        "draws": _text(process, "type") == "G",
    }


def _text(element: Element, path: str) -> str:
    return (element.findtext(path) or "").strip()


def _bytes(element: Element, path: str) -> int | None:
    """Turn `24576 MiB` into bytes; None for what the driver does not say, such as `N/A`."""
    number, _, unit = _text(element, path).partition(" ")
    return int(number) * MIB if unit == "MiB" else None
