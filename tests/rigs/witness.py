"""`python witness.py RIG HOST VERB`: whether a rig's host is off, as an exit code, or acts.

`state` ends with 0 while anything of the host runs, with 1 while it is off; others are the verbs of
the rig: on, button, cut.
"""

from __future__ import annotations

import json
import os
import socket
import sys


def main(rig: str, host: str, verb: str) -> int:
    os.chdir(rig)
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect("control")
        connection.sendall(
            json.dumps(["status" if verb == "state" else verb, host]).encode() + b"\n"
        )
        answer = json.loads(connection.makefile().readline())
    if "error" in answer:
        print(answer["error"], file=sys.stderr)  # noqa: T201 - that is where programs say it
        return 2
    print(answer["state"])  # noqa: T201 - what the driver quotes
    return int(verb == "state" and answer["state"] == "off")


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
