"""What a shipped unit needs of the machine on which it is tested: its account, a program, files."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING

from tests import unhealthy_engine
from tests.engine import free_port, weights_in
from tests.needs import need

if TYPE_CHECKING:
    from tests.booted import Booted

ROOT = Path(__file__).resolve().parents[1]
PYTHON = Path(sys.executable).resolve()

INVENTORY = """version: 1
hosts: {local: {gpu: none, engines: {llamacpp: {binary: /run/project/llama-server}}}}
models: {m: {engine: {kind: llamacpp, weights: WEIGHTS}, port: PORT, stable_for: 200ms}}
"""

HERE = """[Service]
WatchdogSec=4
TimeoutAbortSec=1
RestartSec=0
SetCredential=bmc:secret
Environment=RECONCILER_STATE=/run/project/state
Environment=PYTHONPATH=/run/project:/run/project/packages LD_LIBRARY_PATH=/run/project/python/lib
ExecStart=
ExecStart=/run/project/python/bin/INTERPRETER -m reconciler VERB
"""


def here(verb: str) -> str:
    """What is otherwise where tests run: the program and both files lie elsewhere, and a hang is
    noticed sooner.
    """
    return HERE.replace("INTERPRETER", PYTHON.name).replace("VERB", verb)


def understood(unit: Path, folder: Path) -> None:
    """Have systemd verify a unit with the socket beside it; its program may not be installed."""
    program = re.compile(r"(?<=^ExecStart=)\S+", re.MULTILINE)
    there = folder / unit.name
    there.write_text(program.sub(shutil.which("true") or "", unit.read_text()))
    shutil.copy(unit.parent / "reconciler.socket", folder)
    is_a_users = unit.parent.name == "user"
    words = [*(["--user"] if is_a_users else []), "verify", "--man=no", str(there)]
    analyze(*words, XDG_RUNTIME_DIR=str(folder))


def analyze(*words: str, **environment: str) -> None:
    need("systemd-analyze")
    argv = ["systemd-analyze", *words]
    done = subprocess.run(
        argv, capture_output=True, text=True, check=False, env={**os.environ, **environment}
    )
    assert (done.returncode, done.stderr) == (0, ""), (done.stdout, done.stderr)


def account(booted: Booted) -> None:
    """Make the shipped account as its own systemd would; this machine knows it there alone."""
    booted.write(
        "/run/machine/etc/sysusers.d/reconciler.conf", (ROOT / "deploy/sysusers.conf").read_text()
    )
    for name in ("passwd", "group"):
        shutil.copyfile(f"/etc/{name}", booted.path(f"/run/machine/etc/{name}"))
    booted.run("systemd-sysusers", "--root=/run/machine")
    for name in ("passwd", "group"):
        booted.run("mount", "--bind", f"/run/machine/etc/{name}", f"/etc/{name}")


def program(booted: Booted, engine: str) -> None:
    """Put the program, its Python, an engine and both files where every account may read them."""
    shutil.copytree(ROOT / "reconciler", booted.path("/run/project/reconciler"))
    booted.write("/run/project/unhealthy_engine.py", Path(unhealthy_engine.__file__).read_text())
    booted.write("/run/project/llama-server", f"#!/run/project/python/bin/{PYTHON.name}\n{engine}")
    weights = weights_in(booted.path("/run/project"))
    inventory = INVENTORY.replace("WEIGHTS", f"/run/project/{weights.name}").replace(
        "PORT", str(free_port())
    )
    booted.write("/run/project/state/inventory.yaml", inventory)
    booted.write("/run/project/state/desired.yaml", "version: 1\nactive: m\n")
    booted.run("chmod", "-R", "a+rX", "/run/project")
    booted.run("chmod", "a+x", "/run/project/llama-server")
    for name, place in (("python", sys.base_prefix), ("packages", sysconfig.get_path("purelib"))):
        booted.run("mkdir", f"/run/project/{name}")
        booted.run("mount", "--bind", place, f"/run/project/{name}")
