"""Send stdin to the engine on a port of this machine's loopback, and print its timings.

The words after the port say how many tokens it is to answer with.
"""

from __future__ import annotations

import http.client
import json
import sys
from contextlib import closing


def main() -> None:
    body = json.dumps({"prompt": sys.stdin.read(), "n_predict": int(sys.argv[2]), "temperature": 0})
    with closing(
        http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]), timeout=120)
    ) as connection:
        connection.request("POST", "/completion", body, {"Content-Type": "application/json"})
        print("sent", file=sys.stderr, flush=True)  # noqa: T201 - whoever started this may wait for it
        print(json.dumps(json.loads(connection.getresponse().read())["timings"]))  # noqa: T201 - that is what it is for


main()
