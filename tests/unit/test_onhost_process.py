"""Processes on a host: identity, families, adoption, the end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from reconciler.onhost import bundle, process, procfs, terminate
from reconciler.onhost.problem import HostProblem
from reconciler.onhost.serve import answer
from tests import running
from tests.needs import need_root
from tests.running import (
    FAMILY,
    SLEEPER,
    STUBBORN,
    lives,
    ok,
    our_units,
    spawn_request,
    start,
    stop_request,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

LAST_PID = Path("/proc/sys/kernel/ns_last_pid")


@pytest.fixture(autouse=True)
def _no_process_survives_a_test() -> Iterator[None]:
    with running.ending_all():
        yield


def test_a_unit_runs_in_a_session_of_its_own_with_mark_log_and_folders(tmp_path: Path) -> None:
    identity = start(tmp_path, SLEEPER)
    (unit,) = our_units()
    assert unit["identity"] == identity
    assert unit["mark"] == running.mark("m")
    assert (unit["members"], unit["leader"]) == ([identity["pid"]], True)
    assert os.getsid(identity["pid"]) == identity["pid"]
    assert 0 <= unit["uptime"] < running.DEADLINE
    assert (
        (tmp_path / "models/m/log").stat().st_ctime - running.DEADLINE
        < unit["started_at"]
        < time.time()
    )


def test_what_was_written_before_a_start_is_older_than_the_unit_and_what_comes_later_is_not(
    tmp_path: Path,
) -> None:
    before, after = tmp_path / "before", tmp_path / "after"
    before.touch()
    start(tmp_path, SLEEPER)
    answered = time.time()
    # The kernel counts a process's age in ticks: a file that is written in the same tick counts as
    # older.
    running.until(lambda: time.time() > answered + 2 / procfs.ticks())
    after.touch()
    (unit,) = our_units()
    assert before.stat().st_ctime <= unit["started_at"] < after.stat().st_ctime
    assert (tmp_path / "models/m/log").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "models/m/slots").stat().st_mode & 0o777 == 0o700


def test_a_unit_is_seen_as_soon_as_its_start_is_answered(tmp_path: Path) -> None:
    for _ in range(50):
        identity = ok(answer(spawn_request("", argv=["/bin/sleep", "60"]), str(tmp_path)))[
            "identity"
        ]
        assert [unit["identity"] for unit in our_units(pids=[identity["pid"]])] == [identity]


def test_a_unit_is_seen_while_it_goes_from_one_program_to_the_next(tmp_path: Path) -> None:
    again = '[ "$1" -gt 0 ] && exec /bin/sh -c "$0" "$0" $(($1 - 1))'
    started = ok(
        answer(spawn_request("", argv=["/bin/sh", "-c", again, again, "60000"]), str(tmp_path))
    )["identity"]
    looks = [our_units(pids=[started["pid"]]) for _ in range(2000)]
    assert sum([one["identity"] for one in units] != [started] for units in looks) == 0


@pytest.mark.parametrize(
    ("state", "flags", "code", "waits"),
    [
        ("S", 0, 4096, False),
        ("Z", 0, 0, False),
        ("R", 4, 0, False),
        ("S", 0x200000, 0, False),
        ("S", 0, 1, False),
        ("R", 0, 0, True),
    ],
    ids=[
        "none was given",
        "a zombie",
        "it ends",
        "of the kernel",
        "somebody else's",
        "from one program to the next",
    ],
)
def test_only_who_is_on_the_way_to_a_program_is_waited_for_and_not_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, state: str, flags: int, code: int, waits: bool
) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(procfs, "EXEC_SECONDS", 0.005)
    monkeypatch.setattr(time, "sleep", pauses.append)
    (tmp_path / "7").mkdir()
    (tmp_path / "7" / "environ").touch()
    (tmp_path / "7" / "stat").write_text(
        f"7 (it) {state} 1 7 7 0 -1 {flags} {'0 ' * 12}5 0 0 0 {code} 0 0 0\n"
    )
    assert procfs.mark_text(7, str(tmp_path)) is None
    assert bool(pauses) is waits


TOLD_BY_SYSTEMD = (
    "NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC", "LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES",
    "INVOCATION_ID", "JOURNAL_STREAM", "CREDENTIALS_DIRECTORY",
)  # fmt: skip
"""What systemd sets for one process alone (systemd.exec(5), 252)."""


def test_environment_is_scrubbed_and_the_units_own_variables_win(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    not_its_own = ("LLAMA_ARG_PORT", "RECONCILER_STATE", *TOLD_BY_SYSTEMD)
    for name in not_its_own:
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("LLAMA_ARG_KEPT", "2")
    program = (
        "import json, os; print('ready', json.dumps(dict(os.environ)), flush=True); import signal;"
        " signal.pause()"
    )
    start(tmp_path, program, env={"OWN": "1", "RECONCILER_MARK": "forged"}, keep=["LLAMA_ARG_KEPT"])
    seen = json.loads(running.wait_for_line(tmp_path / "models/m/log").removeprefix("ready "))
    assert not set(not_its_own) & set(seen)
    assert (seen["OWN"], seen["LLAMA_ARG_KEPT"]) == ("1", "2")
    assert seen["RECONCILER_MARK"] == json.dumps(
        running.mark("m"), sort_keys=True, separators=(",", ":")
    )


def test_a_lock_that_we_hold_is_not_passed_on(tmp_path: Path) -> None:
    held = os.open(tmp_path / "lock", os.O_RDWR | os.O_CREAT)
    os.set_inheritable(held, True)
    try:
        identity = start(tmp_path, SLEEPER)
        links = {str(each.readlink()) for each in Path(f"/proc/{identity['pid']}/fd").iterdir()}
    finally:
        os.close(held)
    assert links == {"/dev/null", str(tmp_path / "models/m/log")}


def test_a_log_holds_the_words_of_one_process_and_the_log_before_is_kept(tmp_path: Path) -> None:
    log = tmp_path / "models/m/log"
    log.parent.mkdir(parents=True)
    log.write_text("an earlier process\n")
    start(tmp_path, SLEEPER)
    assert "an earlier process" not in log.read_text()
    assert log.with_name("log.1").read_text() == "an earlier process\n"


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["/nowhere/llama-server"], "cannot start /nowhere/llama-server: there is no such program"),
        (["./script"], "it may not be executed; check its permission bits, and its interpreter's"),
        (["./garbage"], "cannot start ./garbage: this machine cannot run that kind of file"),
        ([sys.executable, "a\0b"], "hold a character that no process can be given"),
        ([], "the command to start is empty"),
    ],
)
def test_a_program_that_cannot_start_is_named(tmp_path: Path, argv: list[str], said: str) -> None:
    folder = tmp_path / "models/m"
    folder.mkdir(parents=True)
    (folder / "script").write_text("#!/bin/sh\n")
    (folder / "garbage").write_bytes(b"\x00garbage")
    (folder / "garbage").chmod(0o755)
    found = answer(spawn_request("", argv=argv), str(tmp_path))
    assert said in found["error"]
    assert our_units() == []


def test_a_stop_ends_the_whole_family_daemons_too(tmp_path: Path) -> None:
    identity = start(tmp_path, FAMILY)
    (unit,) = our_units()
    assert len(unit["members"]) == 5
    assert unit["identity"] == identity
    evidence = ok(answer(stop_request(identity), str(tmp_path)))
    assert evidence["gone"] is True
    assert evidence["rungs"] == ["term", "kill"]
    assert evidence["exit_code"] == -signal.SIGTERM
    assert [pid for pid in unit["members"] if lives(pid)] == []
    assert our_units() == []


def test_a_quick_look_at_a_leader_sees_its_family(tmp_path: Path) -> None:
    identity = start(tmp_path, FAMILY)
    (unit,) = our_units(pids=[identity["pid"]])
    assert unit["identity"] == identity
    assert len(unit["members"]) == 4, "all but the daemon that left the tree"


def test_what_a_dead_leader_leaves_behind_is_seen_and_stopped(tmp_path: Path) -> None:
    identity = start(tmp_path, FAMILY)
    os.kill(identity["pid"], signal.SIGKILL)
    assert process.wait_exit(identity, running.DEADLINE)["gone"]
    units = our_units(pids=[identity["pid"]])
    assert len(units) == 1
    assert len(units[0]["members"]) >= 4
    ok(answer(stop_request(identity), str(tmp_path)))
    for unit in our_units():
        ok(answer(stop_request(unit["identity"]), str(tmp_path)))
    assert our_units() == []


def test_members_without_a_leader_say_so(tmp_path: Path) -> None:
    program = (
        "import os, signal\nif os.fork(): os._exit(0)\nprint('ready', flush=True); signal.pause()"
    )
    assert process.wait_exit(start(tmp_path, program), running.DEADLINE)["gone"]
    (unit,) = our_units()
    assert unit["leader"] is False
    assert ok(answer(stop_request(unit["identity"]), str(tmp_path)))["rungs"] == ["term"]
    assert our_units() == []


def test_a_process_that_ignores_term_is_asked_twice_then_killed(tmp_path: Path) -> None:
    identity = start(tmp_path, STUBBORN)
    evidence = ok(answer(stop_request(identity, grace=0.02, again=0.02), str(tmp_path)))
    assert evidence["rungs"] == ["term", "term", "kill"]
    assert evidence["exit_code"] == -signal.SIGKILL
    assert not lives(identity["pid"])


def test_what_cannot_be_killed_in_time_is_an_error_that_names_it(tmp_path: Path) -> None:
    identity = start(tmp_path, STUBBORN)
    with pytest.raises(
        HostProblem,
        match=rf"process {identity['pid']} \(python.*\) is still there 0 s after SIGKILL",
    ):
        terminate.stop(stop_request(identity, grace=0.01, again=0.01, kill=0))
    assert lives(identity["pid"])


def test_a_stop_of_something_gone_is_gone_at_once(tmp_path: Path) -> None:
    identity = start(tmp_path, SLEEPER)
    first = ok(answer(stop_request(identity), str(tmp_path)))
    second = ok(answer(stop_request(identity), str(tmp_path)))
    assert (first["rungs"], first["exit_code"]) == (["term"], -signal.SIGTERM)
    assert (second["gone"], second["rungs"], second["exit_code"]) == (True, [], None)


def test_a_unit_that_ends_just_as_it_is_stopped_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    identity = start(tmp_path, SLEEPER)
    look = procfs.living

    def ended_before() -> dict[int, procfs.Process]:
        os.kill(identity["pid"], signal.SIGKILL)
        assert process.wait_exit(identity, running.DEADLINE)["gone"]
        monkeypatch.undo()
        return look()

    monkeypatch.setattr(procfs, "living", ended_before)
    assert ok(answer(stop_request(identity), str(tmp_path)))["gone"]


@pytest.mark.parametrize("field", ["start", "inode", "boot_id"])
def test_a_pid_with_another_identity_is_never_signalled(tmp_path: Path, field: str) -> None:
    identity = start(tmp_path, SLEEPER)
    forged = {**identity, field: "another" if field == "boot_id" else identity[field] - 1}
    assert ok(answer(stop_request(forged), str(tmp_path)))["rungs"] == []
    assert lives(identity["pid"])


def test_a_pid_that_the_kernel_reused_is_never_signalled(tmp_path: Path) -> None:
    need_root()
    identity = start(tmp_path, SLEEPER)
    ok(answer(stop_request(identity), str(tmp_path)))
    stranger = _take_pid(identity["pid"])
    try:
        evidence = ok(answer(stop_request(identity), str(tmp_path)))
        assert (evidence["gone"], evidence["rungs"]) == (True, [])
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def _take_pid(pid: int) -> subprocess.Popen[bytes]:
    for _ in range(200):
        LAST_PID.write_text(str(pid - 1))
        found = subprocess.Popen(
            [*running.PYTHON, SLEEPER], stdout=subprocess.DEVNULL, start_new_session=True
        )
        if found.pid == pid:
            return found
        found.kill()
        found.wait()
    pytest.fail("the pid was never free again")


@pytest.mark.parametrize("pid", [-1, 0, 1])
def test_init_and_groups_are_never_signalled(pid: int) -> None:
    forged = {"pid": pid, "start": 0, "inode": 0, "boot_id": procfs.boot_id()}
    assert "never signalled" in answer(stop_request(forged), "/nowhere")["error"]


def test_ourselves_are_never_signalled() -> None:
    assert (
        "never signalled"
        in answer(stop_request(process.identity(os.getpid()) or {}), "/nowhere")["error"]
    )


def test_a_zombie_counts_as_dead() -> None:
    child = subprocess.Popen([sys.executable, "-I", "-S", "-c", ""])
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    identity = process.identity(child.pid)
    assert identity is not None
    assert process.opened(identity) is None
    assert not lives(child.pid)
    child.wait()


def test_exit_codes_of_children_are_told(tmp_path: Path) -> None:
    identity = start(tmp_path, "print('ready', flush=True); raise SystemExit(7)")
    assert process.wait_exit(identity, running.DEADLINE) == {"gone": True, "exit_code": 7}


def test_engines_survive_the_loop_and_are_adopted(tmp_path: Path) -> None:
    loop = subprocess.Popen(
        [sys.executable, "-I", "-c", bundle.BOOTSTRAP],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert loop.stdin is not None
    assert loop.stdout is not None
    with loop, loop.stdin as requests, loop.stdout as answers:
        requests.write(
            bundle.framed(str(tmp_path))
            + json.dumps({"id": 1, **spawn_request(FAMILY)}).encode()
            + b"\n"
        )
        requests.flush()
        assert answers.readline().strip() == bundle.HELLO
        identity: dict[str, Any] = ok(json.loads(answers.readline()))["identity"]
        running.wait_for_line(tmp_path / "models/m/log")
        loop.kill()
        loop.wait()
    (unit,) = our_units()
    assert unit["identity"] == identity
    assert len(unit["members"]) == 5
    evidence = ok(answer(stop_request(identity), str(tmp_path)))
    assert (evidence["gone"], evidence["exit_code"]) == (True, None)
    assert our_units() == []


def test_names_with_spaces_and_parentheses_do_not_shift_the_fields() -> None:
    line = b"42 (a) S 9 (x y) S 7 42 41 0 -1 4194304 1 2 3 4 5 6 7 8 20 0 1 0 12345 0 0"
    assert procfs.parse_stat(42, line) == procfs.Process(42, 7, 41, 12345, True)
    assert procfs.parse_stat(42, b"") is None


def test_a_thread_of_the_kernel_does_not_count_among_the_living() -> None:
    line = b"7 (kworker/u8:0) I 2 0 0 0 -1 69238880 0 0 0 0 0 0 0 0 20 0 1 0 12 0 0"
    assert procfs.parse_stat(7, line) == procfs.Process(7, 2, 0, 12, False)


@pytest.mark.parametrize(
    "text", ["", "{}", "[1]", '{"controller":1,"model":"m","digest":"d"}', "[" * 100_000]
)
def test_a_foreign_mark_is_no_mark(text: str) -> None:
    assert procfs.parse_mark(text) is None
