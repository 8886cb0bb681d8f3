"""SSH complaints: what ssh or a login shell says when it ends, and what to do about it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler.model.reason import Reason

if TYPE_CHECKING:
    from reconciler.edge.ssh_destination import Destination

LOST = ("Timeout, server", "Broken pipe", "Connection reset", "Connection timed out")
"""What ssh says when a host is gone without a word."""

CHANGED = "REMOTE HOST IDENTIFICATION HAS CHANGED"
COMPARE = "compare it with what `ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub` says there"
REMEDIES = {
    CHANGED: (
        "its host key is another one than before; only if you know why, `ssh-keygen -R {known}`,"
        " then `ssh {to}` once: " + COMPARE
    ),
    "Host key verification failed": (
        "its host key is not known yet; `ssh {to}` once shows it and asks: " + COMPARE
    ),
    "Permission denied": (
        "ssh must get in without a question; load your key into the agent, or `ssh-copy-id {to}`"
    ),
    "Could not resolve hostname": "correct `address:`, or the host's name in ~/.ssh/config",
    "Bad owner or permissions": "fix the permissions of the file that ssh names",
    "python3": "it needs python3, 3.9 or later, on the PATH there",
}
"""What to do, by a phrase of what was said."""


def complaint(to: Destination, words: str, silence: str) -> Reason:
    """Put into words why a machine cannot be reached; `silence` stands for no words at all."""
    lines = [line.strip() for line in words.splitlines() if line.strip()]
    what = lines[-1].rstrip(".") if lines else silence
    # What was tried stands in most of ssh's own words, and in none of ours.
    tried = "" if to.address == to.name or to.address in what else f" (`ssh {to.shown}`)"
    over = f"{to.name}{tried} cannot be reached over ssh: {what}"
    remedy = _remedy(lines, words)
    return Reason(over, remedy.format(to=to.shown, known=to.known))


def _remedy(lines: list[str], words: str) -> str:
    # The last line says why it ended; others may be of a banner, or of what a login shell reads.
    # That a host key has changed stands at the top of a long warning.
    heard = (words,) if CHANGED in words else (*lines[-1:], words)
    fitting = (remedy for text in heard for phrase, remedy in REMEDIES.items() if phrase in text)
    return next(fitting, "")


def is_lost(words: str) -> bool:
    """Whether ssh says that the host is gone, and not that it was hung up on."""
    return any(phrase in words for phrase in LOST)
