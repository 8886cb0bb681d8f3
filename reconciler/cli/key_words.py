"""Key words: what may be said of a key on the command line."""

from __future__ import annotations

import argparse
from typing import get_args

from reconciler.model.key_scope import KeyScope

MOST_REQUESTS = 2000


def add(parser: argparse.ArgumentParser) -> None:
    """Add what `key` takes."""
    parser.add_argument("action", choices=("add", "list", "remove"), help="what to do")
    parser.add_argument("name", metavar="NAME", nargs="?", help="the key's name, such as laptop")
    parser.add_argument(
        "--scope",
        action="append",
        choices=get_args(KeyScope),
        help="what a new key allows; several times for more (default: infer)",
    )
    parser.add_argument(
        "--model",
        action="append",
        metavar="MODEL",
        help="the only model that a new key may ask for; several times for more",
    )
    parser.add_argument(
        "--expires",
        metavar="T",
        help='end a new key automatically: "30d" or "2026-12-24 18:30"',
    )
    parser.add_argument(
        "--wake-on-list",
        action="store_true",
        help="wake hosts that rest when a client lists models with the new key",
    )
    for what, default, help_ in (
        ("in-flight", 16, "may be under way"),
        ("waiting", 64, "may wait"),
    ):
        parser.add_argument(
            f"--{what}",
            type=_count,
            default=default,
            metavar="N",
            help=f"how many requests of a new key {help_} (default: {default})",
        )


def _count(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) <= MOST_REQUESTS:
        found = f"found {text}, expected a number from 1 to {MOST_REQUESTS}"
        raise argparse.ArgumentTypeError(found)
    return int(text)
