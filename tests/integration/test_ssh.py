"""Another machine over a real ssh: what a person sees when it works, and when it does not."""

from __future__ import annotations

import getpass
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests import sshd
from tests.engine import EngineProcess, free_port, weights_in
from tests.engine_program import program_in
from tests.needs import need, program
from tests.running import until
from tests.stack import COMMAND_SECONDS, LEAST_REUSED, Stack, ending


@pytest.fixture
def served() -> Iterator[sshd.Served]:
    with sshd.running() as daemon:
        yield daemon


@pytest.fixture
def here(tmp_path: Path, served: sshd.Served) -> Iterator[Stack]:
    made = Stack(tmp_path, served)
    with ending(made):
        yield made


def test_a_conversation_survives_a_switch_and_back(here: Stack) -> None:
    here.apply()
    held = here.remembered()
    here.desire("tiny-b")
    here.apply()
    here.desire("tiny-a")
    here.apply()
    assert here.talk()["cache_n"] >= LEAST_REUSED * held
    assert here.run("plan", "--detailed-exitcode").returncode == 0


def test_a_host_is_reached_through_another(here: Stack, served: sshd.Served) -> None:
    file = here.folder / "state" / "inventory.yaml"
    near = json.dumps(
        {"kind": "ssh", **served.options(here.folder / "near"), "port": served.other_port}
    )
    text = file.read_text().replace('"kind": "ssh"', '"kind": "ssh", "via": "near"')
    file.write_text(
        text.replace("hosts:\n", f"hosts:\n  near: {{access: {near}}}\n").replace(
            "{engine", "{host: local, engine"
        )
    )
    here.desired("version: 1\nhosts:\n  local: {active: tiny-a}\n")
    before = served.logins()
    here.apply()
    assert list(here.engines()) == ["tiny-a"]
    assert served.logins() - before == 2


def test_engines_outlive_the_connection(here: Stack) -> None:
    here.apply()
    engines = here.engines()
    assert list(engines) == ["tiny-a"]
    assert connections(here) == []
    here.apply()
    assert here.engines() == engines


def test_a_watch_gets_over_a_connection_that_breaks(here: Stack) -> None:
    with here.watching():
        here.becomes("tiny-a")
        for pid in connections(here):
            os.kill(pid, signal.SIGKILL)
        here.desire("tiny-b")
        here.becomes("tiny-b")


def test_a_controller_that_is_killed_leaves_nothing_behind(
    here: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    with TemporaryDirectory() as folder:
        monkeypatch.setenv("TMPDIR", folder)
        with here.watching(code=-signal.SIGKILL) as watch:
            here.becomes("tiny-a")
            assert [path.is_socket() for path in Path(folder).iterdir()] == [True]
            watch.kill()
            until(lambda: list(Path(folder).iterdir()) == [] == connections(here))


def connections(here: Stack) -> list[int]:
    """Return the pids of ssh processes that use the stack's configuration."""
    assert here.served is not None
    config, found = str(here.served.config), []
    for line in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            words = line.read_bytes().decode().split("\0")
            found += [int(line.parent.name)] if words[0] == "ssh" and config in words else []
    return found


def test_a_host_whose_key_is_not_known_is_not_trusted(here: Stack, served: sshd.Served) -> None:
    served.known_hosts.write_text("")
    found = here.run("doctor")
    assert found.returncode == 1
    assert "its host key is not known yet" in found.stdout
    assert f"-p {served.port} 127.0.0.1` once shows it and asks" in found.stdout
    refused = here.run("apply", "--yes")
    assert refused.returncode == 4
    assert "its host key is not known yet" in refused.stdout + refused.stderr
    assert here.engines() == {}


def test_a_host_whose_key_changed_is_not_trusted(here: Stack, served: sshd.Served) -> None:
    other = (served.folder / "id.pub").read_text().split()[:2]
    served.known_hosts.write_text(f"[127.0.0.1]:{served.port} {' '.join(other)}\n")
    found = here.run("status").stdout
    assert "its host key is another one than before" in found
    assert f"ssh-keygen -R '[127.0.0.1]:{served.port}'" in found


def test_a_host_without_an_ssh_server_is_unknown_and_nothing_is_done(
    here: Stack, served: sshd.Served
) -> None:
    here.apply()
    engines = here.engines()
    served.process.terminate()
    served.process.wait()
    here.desire("tiny-b")
    refused = here.run("apply", "--yes")
    assert refused.returncode == 4
    assert "local cannot be reached over ssh" in refused.stdout + refused.stderr
    assert "Connection refused" in refused.stdout + refused.stderr
    assert here.engines() == engines


@pytest.mark.parametrize(
    "greeting", ["echo welcome", "printf '{}\\n[1]\\nno newline'", "echo complaint >&2"]
)
def test_a_shell_that_greets_is_heard_out(tmp_path: Path, greeting: str) -> None:
    with sshd.running(
        f'ForceCommand {greeting}; exec /bin/sh -c "$SSH_ORIGINAL_COMMAND"'
    ) as served:
        here = Stack(tmp_path, served)
        with ending(here):
            here.apply()
            assert list(here.engines()) == ["tiny-a"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "tcsh", "fish"])
def test_every_login_shell_is_good_enough(tmp_path: Path, shell: str) -> None:
    need(shell)
    with sshd.running(f'ForceCommand exec {shell} -c "$SSH_ORIGINAL_COMMAND"') as served:
        here = Stack(tmp_path, served)
        found = here.run("doctor").stdout
    assert "Looked at files, journal and local: nothing wrong." in found, found


def test_a_host_without_python_says_what_to_install(tmp_path: Path) -> None:
    with sshd.running('ForceCommand PATH=/nowhere /bin/sh -c "$SSH_ORIGINAL_COMMAND"') as served:
        here = Stack(tmp_path, served)
        found = here.run("doctor").stdout
    assert "it needs python3, 3.9 or later, on the PATH there" in found, found


def test_a_host_whose_python_is_too_old_says_which_it_has(tmp_path: Path) -> None:
    old = tmp_path / "bin" / "python3"
    old.parent.mkdir()
    old.write_text(
        f'#!/bin/sh\nexec {sys.executable} -I -c "import sys; sys.version_info = (3, 8, 18,'
        " 'final', 0); $3\"\n"
    )
    old.chmod(0o755)
    setting = (
        'ForceCommand echo "Permission denied" >&2;'
        f' PATH={old.parent}:$PATH exec /bin/sh -c "$SSH_ORIGINAL_COMMAND"'
    )
    with sshd.running(setting) as served:
        found = Stack(tmp_path, served).run("doctor").stdout
    assert "over ssh: python3 there is 3.8 (" in found, found
    assert "it needs python3, 3.9 or later, on the PATH there" in found, found


def test_a_tunnel_of_the_user_is_no_session_without_a_command(
    here: Stack, served: sshd.Served
) -> None:
    with served.config.open("a") as config:
        config.write("  IgnoreUnknown StdinNull,SessionType,ForkAfterAuthentication,Made*\n")
        config.write(
            "  StdinNull yes\n  SessionType none\n  ForkAfterAuthentication yes\n  MadeUpLater"
            " yes\n"
        )
    assert "nothing wrong" in here.run("doctor").stdout


def test_what_ssh_asks_or_forwards_by_configuration_is_not_in_the_way(
    here: Stack, served: sshd.Served
) -> None:
    with served.config.open("a") as config:
        config.write(
            f"  LocalForward {here.port} 127.0.0.1:{here.port}\n  RemoteCommand echo no\n "
            " RequestTTY force\n"
        )
        config.write(
            "  ControlMaster auto\n  ControlPath ~/.nowhere/%C\n  PermitLocalCommand yes\n "
            " LocalCommand echo hi\n"
        )
        # A port of theirs that is taken already: who insists on it and is refused hangs up.
        config.write(
            f"  RemoteForward {served.port} 127.0.0.1:{here.port}\n  ExitOnForwardFailure yes\n"
        )
        config.write("Match exec true\n  ControlPersist 60\n")
    here.apply()
    assert list(here.engines()) == ["tiny-a"]
    until(lambda: connections(here) == [])


def test_what_a_host_greets_with_is_no_answer_and_known_hosts_may_be_hashed(tmp_path: Path) -> None:
    greeting = tmp_path / "greeting"
    greeting.write_text("Permission denied (publickey)\npython3: command not found\n")
    with sshd.running(f"Banner {greeting}") as served:
        subprocess.run(
            [program("ssh-keygen"), "-q", "-H", "-f", served.known_hosts],
            check=True,
            capture_output=True,
        )
        with served.config.open("a") as config:
            config.write("  VisualHostKey yes\n  SendEnv LANG\n  LogLevel QUIET\n")
        here = Stack(tmp_path, served)
        assert "nothing wrong" in here.run("doctor").stdout
        served.known_hosts.write_text("")
        found = here.run("doctor").stdout
    assert "Permission denied" not in found
    assert "python3" not in found
    assert "its host key is not known yet" in found, found


def test_init_writes_both_files_for_another_machine(tmp_path: Path, served: sshd.Served) -> None:
    port, to = free_port(), f"{getpass.getuser()}@127.0.0.1"
    ssh_of(served, tmp_path)
    argv = [str(program_in(tmp_path)), "-m", str(weights_in(tmp_path)), "--port", str(port)]
    by_hand = EngineProcess.start(argv, port, tmp_path / "log")
    try:
        by_hand.wait_healthy()
        done = initialized(tmp_path, to)
    finally:
        by_hand.kill()
    assert done.returncode == 0, done.stderr
    inventory = (tmp_path / "stack" / "inventory.yaml").read_text()
    assert (
        'hosts:\n  gpu-host:\n    access: {kind: ssh, address: "127.0.0.1", user:'
        f" {to.partition('@')[0]}}}" in inventory
    )
    assert f"binary: {argv[0]}" in inventory
    assert f"ssh -t {to} 'kill {by_hand.pid}'" in done.stdout


def ssh_of(served: sshd.Served, folder: Path) -> None:
    """Write an ssh that knows what ~/.ssh/config would say: ssh does not look where HOME is."""
    program = folder / "ssh"
    program.write_text(f'#!/bin/sh\nexec /usr/bin/ssh -F {served.config} -p {served.port} "$@"\n')
    program.chmod(0o755)


def test_a_folder_of_weights_on_another_machine_is_imported(
    tmp_path: Path, served: sshd.Served
) -> None:
    ssh_of(served, tmp_path)
    (tmp_path / "models").mkdir()
    weights = weights_in(tmp_path / "models")
    to = f"{getpass.getuser()}@127.0.0.1"
    done = begun(tmp_path, "import", "gguf-dir", str(tmp_path / "models"), "stack", f"--host={to}")
    assert done.returncode == 0, done.stdout + done.stderr
    inventory = (tmp_path / "stack" / "inventory.yaml").read_text()
    assert f"weights: {weights}" in inventory
    assert "access: {kind: ssh" in inventory


def test_init_refuses_an_address_that_is_none(tmp_path: Path) -> None:
    need("ssh")
    done = initialized(tmp_path, "-oProxyCommand=x")
    assert done.returncode == 64
    assert "found --host -oProxyCommand=x, expected an address that ssh can reach" in done.stderr
    assert not (tmp_path / "stack").exists()


def initialized(folder: Path, to: str) -> subprocess.CompletedProcess[str]:
    return begun(folder, "init", "stack", "--yes", f"--host={to}")


def begun(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        "PATH": f"{folder}:{os.environ['PATH']}",
        "XDG_STATE_HOME": str(folder / "host"),
    }
    return subprocess.run(
        [sys.executable, "-m", "reconciler", *words],
        cwd=folder, env=environment, capture_output=True, text=True, check=False,
        timeout=COMMAND_SECONDS,
    )  # fmt: skip
