"""Put a gateway before clients of several ages, and before coding agents; print a table.

A client is a file `CLIENT-VERSION.lock` in this folder, installed into an environment of its own;
what npm/ names is installed where npm is. The newest releases of Python clients are what
`make test` uses. Ends with 1 where a client is not served as it expects.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import httpx

from tests.clients.scene import LONG, Scene, scene
from tests.engine import SERVERS

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
INSTALLED = ROOT / ".venv" / "clients"
UV = Path(sys.executable).with_name("uv")
ASKED = "Say hello."
SECONDS = 120
CLAUDE = {"ANTHROPIC_AUTH_TOKEN": "none", "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1"}


class Client(NamedTuple):
    """A client, how it is run, and what it needs of a server."""

    name: str
    run: Callable[[Scene, Path], str]
    """Returns what it said last; raises CalledProcessError or AssertionError."""

    needs_upstream: bool = False


def sdks() -> Iterator[Client]:
    """Yield each release of an SDK that a lock file names."""
    for lock in sorted(HERE.glob("*.lock")):
        python, module = environment(lock), lock.stem.partition("-")[0]

        def run(there: Scene, folder: Path, python: Path = python, module: str = module) -> str:
            words = [str(python), "-m", f"tests.clients.{module}_client", *there]
            return said(words, folder, by={"PYTHONPATH": str(ROOT)}).splitlines()[-1]

        yield Client(lock.stem, run)


def environment(lock: Path) -> Path:
    """Install a lock file, once; the Python of its environment."""
    folder = INSTALLED / lock.stem
    if not folder.exists():
        partial = folder.with_name(f"{folder.name}.partial")
        python = str(partial / "bin" / "python")
        make = ["venv", "--quiet", "--clear", "--relocatable", "--python", sys.executable]
        fill = ["pip", "install", "--quiet", "--require-hashes", "--python", python]
        subprocess.run([str(UV), *make, str(partial)], check=True)
        subprocess.run([str(UV), *fill, "-r", str(lock)], check=True)
        partial.rename(folder)
    return folder / "bin" / "python"


def agents() -> Iterator[Client]:
    """Yield each coding agent, where npm can install it."""
    npm = shutil.which("npm")
    if npm is None:
        sys.stdout.write("Codex and Claude Code: left out, since npm is not here\n")
        return
    programs = packages(npm) / "node_modules" / ".bin"
    yield Client("Codex", lambda *given: codex(programs / "codex", *given), needs_upstream=True)
    yield Client("Claude Code", lambda *given: claude(programs / "claude", *given), True)


def packages(npm: str) -> Path:
    """Install what npm/ names, once; the folder that has it."""
    folder = INSTALLED / "npm"
    if not folder.exists():
        partial = folder.with_name("npm.partial")
        shutil.copytree(HERE / "npm", partial, dirs_exist_ok=True)
        quiet = ["--no-audit", "--no-fund", "--silent"]
        subprocess.run([npm, "ci", *quiet], cwd=partial, check=True)
        partial.rename(folder)
    return folder


def codex(program: Path, there: Scene, folder: Path) -> str:
    """Let Codex say something by a model that is brought in for it."""
    settings = f"""model_provider = "here"
model = "tiny-c"
[model_providers.here]
name = "here"
base_url = "{there.gateway}/v1"
wire_api = "responses"
auth = {{ command = "{folder}/token" }}
"""
    # Only a provider that asks for a token is asked for its models.
    (folder / "token").write_text("#!/bin/sh\necho none\n")
    (folder / "token").chmod(0o700)
    (folder / "config.toml").write_text(settings)
    words = [str(program), "exec", "--json", "--skip-git-repo-check", "-s", "read-only", ASKED]
    told = said(words, folder, by={"CODEX_HOME": str(folder)})
    events = [json.loads(line) for line in told.splitlines() if line.startswith("{")]
    assert events[-1]["type"] == "turn.completed", told
    listed = json.loads((folder / "models_cache.json").read_text())["models"]
    assert "tiny-c" in [one["slug"] for one in listed]
    return "answered"


def claude(program: Path, there: Scene, folder: Path) -> str:
    """Let Claude Code say something by a model that is brought in for it."""
    back = {"model": "active", "prompt": "Hello", "n_predict": 1}
    httpx.post(f"{there.gateway}/completion", json=back, timeout=SECONDS).raise_for_status()
    words = [str(program), "-p", ASKED, "--model", "tiny-c", "--output-format", "json"]
    by = {"ANTHROPIC_BASE_URL": there.gateway, **CLAUDE}
    told = said(words, folder, by=by)
    answer = json.loads(told.splitlines()[-1])
    assert not answer["is_error"], told
    words[words.index("tiny-c")] = "broken"
    # It asks for minutes where it may hope, instead of saying what is wrong.
    assert "nowhere.gguf" in said(words, folder, code=1, by=by)
    return "answered"


def said(words: list[str], folder: Path, code: int = 0, *, by: Mapping[str, str]) -> str:
    """What a program says, with a home of its own."""
    environment = {**os.environ, "HOME": str(folder), **by}
    done = subprocess.run(
        words,
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
        timeout=SECONDS,
    )
    if done.returncode != code:
        raise AssertionError(done.stdout + done.stderr)
    return done.stdout


def main() -> int:
    """Run the program."""
    clients, broken = [*sdks(), *agents()], 0
    for server in SERVERS:
        with tempfile.TemporaryDirectory() as folder, scene(Path(folder), server, LONG) as there:
            for client in clients:
                if client.needs_upstream and not server.binary:
                    continue
                found = judged(client, there)
                broken += found is None
                row = f"{server.name:<9} {client.name:<17} {found or 'is not served'}\n"
                sys.stdout.write(row)
                sys.stdout.flush()
    return 1 if broken else 0


def judged(client: Client, there: Scene) -> str | None:
    """What a client said, None where it is not served as it expects."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            return client.run(there, Path(folder))
        except (AssertionError, subprocess.TimeoutExpired) as error:
            sys.stderr.write(f"{client.name}: {error}\n")
            return None


if __name__ == "__main__":
    sys.exit(main())
