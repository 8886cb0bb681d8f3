"""What a network card makes of a frame that may be a magic packet."""

from __future__ import annotations

from typing import Literal

Verdict = Literal[
    "wol_accepted", "wol_other_mac", "wol_malformed", "wol_bad_password", "wol_ignored_by_fault",
    "wol_while_not_off",
]  # fmt: skip

SYNC = b"\xff" * 6
MAC_BYTES = 6


def octets(mac: str) -> bytes:
    """Return the bytes that a MAC, or a SecureOn password in the same notation, stands for."""
    return bytes.fromhex(mac.replace(":", ""))


def pattern(mac: str) -> bytes:
    """Return what wakes the card with this MAC."""
    return SYNC + octets(mac) * 16


def after_pattern(payload: bytes, mac: str) -> bytes | None:
    """What follows the pattern, wherever it is in the frame; None when it is not there."""
    _, found, rest = payload.partition(pattern(mac))
    return rest if found else None


def wrong(payload: bytes, mac: str, password: str) -> Verdict | None:
    """Return what is wrong with a packet that should wake this card, None when nothing is."""
    rest = after_pattern(payload, mac)
    if rest is None:
        _, _, claimed = payload.partition(SYNC)
        other = claimed[:MAC_BYTES]
        whole = len(other) == MAC_BYTES and other * 16 == claimed[: 16 * MAC_BYTES]
        return "wol_other_mac" if whole else "wol_malformed"
    return None if rest.startswith(octets(password)) else "wol_bad_password"
