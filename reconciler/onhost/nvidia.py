"""What nvidia-smi says of the cards of this host.

Source: `nvidia-smi -q -x`, nvsmi_device_v12.dtd and earlier.
"""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING, Any

from reconciler.onhost.problem import HostProblem

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

SECONDS = 20.0
MIB = 1024 * 1024


def cards(seconds: float = SECONDS) -> dict[str, Any]:
    """Answer every card with its memory in bytes, None where it has none of its own, and who holds it."""
    from xml.etree.ElementTree import (  # noqa: PLC0415 - a megabyte that few hosts need
        ParseError,
        fromstring,
    )

    try:
        done = subprocess.run(
            ["nvidia-smi", "-q", "-x"],  # noqa: S607 - it is found on the PATH
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=seconds,
            check=False,
        )
    except FileNotFoundError:
        raise HostProblem(
            "there is no nvidia-smi on the PATH there; install what the NVIDIA driver brings for it"
        ) from None
    except subprocess.TimeoutExpired:
        raise HostProblem(
            f"nvidia-smi did not answer within {seconds:g} s; `dmesg` there says why, and a reboot"
            " ends it"
        ) from None
    if done.returncode:
        said = " ".join((done.stdout + done.stderr).decode("utf-8", "replace").split())
        raise HostProblem(f"nvidia-smi failed: {said or f'it ended with {done.returncode}'}")
    try:
        log = fromstring(done.stdout)  # noqa: S314 - NVIDIA's own program wrote it
        return {"cards": [_card(index, gpu) for index, gpu in enumerate(log.findall("gpu"))]}
    except (ParseError, ValueError) as error:
        raise HostProblem(f"what nvidia-smi says cannot be understood: {error}") from error


def _card(index: int, gpu: Element) -> dict[str, Any]:
    held: dict[int, dict[str, Any]] = {}
    for one in gpu.iterfind("processes/process_info"):
        pid, size = int(_text(one, "pid")), _bytes(_text(one, "used_memory"))
        name, draws = os.path.basename(_text(one, "process_name")), _text(one, "type") == "G"
        known = held.setdefault(pid, {"pid": pid, "name": name, "bytes": None, "draws": draws})
        known["bytes"] = max(known["bytes"] or 0, size or 0) or None
        known["draws"] = known["draws"] and draws
    return {
        "index": index,
        "name": _text(gpu, "product_name"),
        "uuid": _text(gpu, "uuid"),
        "total": _bytes(_text(gpu, "fb_memory_usage/total")),
        "free": _bytes(_text(gpu, "fb_memory_usage/free")),
        "holders": [held[pid] for pid in sorted(held)],
    }


def _text(element: Element, path: str) -> str:
    return (element.findtext(path) or "").strip()


def _bytes(text: str) -> int | None:
    """Return `24576 MiB` in bytes, None for what the driver does not say, such as `N/A`."""
    number, _, unit = text.partition(" ")
    return int(number) * MIB if unit == "MiB" else None
