"""What the program on a host makes of what LXC says that a real one says seldom."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from reconciler.onhost import commands, lxc_files, lxc_words
from reconciler.onhost.commands import Ended
from reconciler.onhost.problem import NO_OBJECTION
from reconciler.onhost.serve import answer

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

GIVEN = {"name": "gemma3", "keeper": "lxc", "service": "", "network": "host"}
IDENTITY = {"pid": 0, "start": 1, "inode": 1, "boot_id": "b"}


class Told:
    """An LXC with one container, whose init is this process, and the commands that it was given."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        self.asked: list[str] = []
        self.state = Ended(0, f"State:  RUNNING\nPID:  {os.getpid()}\n", "")
        self.answers: dict[str, Callable[[], Ended]] = {}
        (folder / "gemma3").mkdir()
        (folder / "gemma3/config").write_text("lxc.net.0.type = none\n")
        monkeypatch.setattr(lxc_words, "_folder", lambda: str(folder))
        monkeypatch.setattr(commands, "run", self._run)
        monkeypatch.setattr(os, "geteuid", lambda: 0)

    def _run(self, argv: list[str], _: float) -> Ended:
        if argv[0] == "lxc-info":
            return self.answers.get("lxc-info", lambda: self.state)()
        self.asked.append(" ".join(argv))
        return self.answers.get(argv[0], lambda: Ended(0, "", ""))()


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Told:
    return Told(monkeypatch, tmp_path)


def seen() -> dict[str, Any]:
    return answer({"do": "lxc", "containers": [GIVEN]}, "/")


def invocation() -> str:
    one: str = seen()["ok"]["containers"][0]["unit"]["identity"]["invocation"]
    return one


def test_of_root_s_containers_nobody_else_is_told(
    told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 65534)
    assert "root's, and this account is nobody; run reconciler as root" in seen()["error"]
    assert told.asked == []


@pytest.mark.parametrize(
    ("says", "error"),
    [
        (FileNotFoundError, "there is no lxc-info on this host: LXC is not installed"),
        (commands.Late, "`lxc-info -n gemma3 -s -p` did not end within 10 s"),
        (None, "lxc-info does not tell of container gemma3: no such cgroup"),
    ],
)
def test_why_nothing_is_known_is_told(
    told: Told, monkeypatch: pytest.MonkeyPatch, says: type[Exception] | None, error: str
) -> None:
    def says_so() -> Ended:
        if says is not None:
            raise says
        return Ended(1, "", "no such\n cgroup")

    monkeypatch.setattr(lxc_words, "_SOCKETS", "/nowhere")
    told.answers["lxc-info"] = says_so
    assert error in seen()["error"]


@pytest.mark.parametrize("is_listed", [True, False])
def test_a_container_that_lxc_cannot_read_does_not_run_where_nothing_answers_for_it(
    told: Told, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *, is_listed: bool
) -> None:
    sockets = tmp_path / "unix"
    sockets.write_text(f"0000: 0 @{tmp_path}/gemma3/command\n" if is_listed else "Num Path\n")
    monkeypatch.setattr(lxc_words, "_SOCKETS", str(sockets))
    told.answers["lxc-info"] = lambda: Ended(1, "", "Failed to load config")
    said = "lxc-info does not tell of container gemma3: Failed to load config"
    if is_listed:
        assert seen() == {"error": said}
    else:
        (one,) = seen()["ok"]["containers"]
        assert one["unit"] is None
        fix = f"correct {tmp_path}/gemma3/config"
        assert one["binary"]["problem"] == {"found": said, "fix": fix}


def test_what_a_container_s_file_includes_and_takes_back_counts(tmp_path: Path) -> None:
    folder, path = tmp_path / "more.d", tmp_path / "config"
    folder.mkdir()
    (folder / "a.conf").write_text(f"lxc.net.0.type = none\nlxc.include = {path}\n")
    (folder / "b.txt").write_text("lxc.net.0.type = veth\n")
    (tmp_path / "one").write_text("lxc.start.auto = 1\nlxc.mount.entry = /a b none bind 0 0\n")
    includes = [f"lxc.include = {place}" for place in (folder, tmp_path / "one", "/nowhere")]
    for lines, network in (
        (includes, ""),
        ([*includes, "lxc.net.0.type = veth"], "veth"),
        (["lxc.net.0.type = veth", *includes], ""),
        (["lxc.net.0.type = veth", "lxc.net.1.type = veth", "lxc.net ="], "empty"),
        (["lxc.net.0.type = veth", "lxc.net.1.type = none", "lxc.net.0 ="], ""),
    ):
        path.write_text("\n".join(lines))
        file = lxc_files.read(str(path))
        assert file is not None
        assert file.network == network, lines
    again = ("lxc.mount.entry =", "lxc.mount.entry = /c d none bind 0 0")
    path.write_text("\n".join([*includes, *again]))
    file = lxc_files.read(str(path))
    assert file is not None
    assert (file.autostarts, file.mounts) == (True, [("/", ""), ("/d", "/c")])


def stopped(run: str) -> dict[str, Any]:
    request = {"do": "stop-lxc", **GIVEN, "grace": 0.1, "kill": 0.1}
    return answer({**request, "identity": {**IDENTITY, "invocation": run}}, "/")


def test_only_the_run_that_is_meant_is_ended_and_what_stays_is_told(told: Told) -> None:
    assert stopped("gemma3@1")["ok"]["rungs"] == []
    assert told.asked == []
    told.answers["lxc-stop"] = lambda: Ended(1, "", "it hangs in the driver")
    said = stopped(invocation())["error"]
    assert said == (
        "container gemma3 is still there 0.1 s after its end was asked for: it hangs in the driver"
    )
    assert told.asked == ["lxc-stop -n gemma3 --nokill -t 1", "lxc-stop -n gemma3 -k"]


def test_what_is_there_after_a_start_was_started_whatever_its_keeper_says(
    told: Told, tmp_path: Path
) -> None:
    told.answers["lxc-start"] = lambda: Ended(1, "", "already running")
    start = {"do": "start-lxc", **GIVEN}
    assert answer(start, str(tmp_path))["ok"]["identity"]["pid"] == os.getpid()
    told.state = Ended(0, "State: STOPPED\n", "")
    error = "container gemma3 did not start: already running; `lxc-start -F -n gemma3` says more"
    assert answer(start, str(tmp_path)) == {"error": error}
    told.answers["lxc-start"] = lambda: Ended(0, "", "")
    assert "did not start: it is over already" in answer(start, str(tmp_path))["error"]


def test_a_host_that_is_no_node_of_proxmox_is_told_from_one_without_containers(
    told: Told, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    given = {"name": "101", "keeper": "pct", "service": "", "network": "host"}
    monkeypatch.setattr(lxc_words, "_OF_PROXMOX", str(tmp_path / "pve"))
    asked = {"do": "lxc", "containers": [given]}
    assert f"there is no {tmp_path}/pve on this host: it is no node" in answer(asked, "/")["error"]
    (tmp_path / "pve").mkdir()
    (tmp_path / "pve/101.conf").write_text("lxc.net.0.type: none\n")
    (found,) = answer(asked, "/")["ok"]["containers"]
    assert (found["binary"]["problem"], found["unit"]) == (NO_OBJECTION.parts, None), (
        "LXC has never seen it"
    )

    def there_is_none() -> Ended:
        raise FileNotFoundError

    told.answers["pct"] = there_is_none
    error = "there is no pct on this host: it is no node of Proxmox VE, or it is not on the PATH"
    assert answer({"do": "start-lxc", **given}, str(tmp_path))["error"].startswith(error)
    command = answer({"do": "lxc-command", **given}, "/")["ok"]
    assert command["problem"] == "CT 101 has stopped, and its init is its own"


@pytest.mark.parametrize(
    ("text", "managed"),
    [("", False), ("ct: 101\n\tstate started\n", True), ("vm: 101\n\nct: 1010\n", False),
     ("ct: 101\n\tgroup a\n\tstate ignored\n\nct: 102\n", False)],
)  # fmt: skip
def test_whether_a_cluster_manages_a_container(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str, managed: bool
) -> None:
    (tmp_path / "resources.cfg").write_text(text)
    monkeypatch.setattr(lxc_words, "_OF_PROXMOX", str(tmp_path))
    monkeypatch.setattr(lxc_words, "_HA", str(tmp_path / "resources.cfg"))
    assert (
        lxc_words.keeper(
            {"name": "101", "keeper": "pct", "service": "", "network": "host"}
        ).is_requested
        is managed
    )


def test_a_log_of_a_container_s_own_is_left_alone(told: Told, tmp_path: Path) -> None:
    start = {"do": "start-lxc", **GIVEN}
    answer(start, str(tmp_path))
    (tmp_path / "gemma3/config").write_text("lxc.net.0.type=none\nlxc.log.file=/var/log/lxc/g\n")
    answer(start, str(tmp_path))
    errors = tmp_path / "lxc/gemma3/errors"
    assert told.asked == [f"lxc-start -n gemma3 -l ERROR -o {errors}", "lxc-start -n gemma3"]


def test_a_container_s_file_ends_where_a_section_begins(tmp_path: Path) -> None:
    path = tmp_path / "101.conf"
    path.write_text(
        "# lxc.net.9.type: none\nmp0: /models,mp=/m\nmp0: /tank,mp=/m\n[snap]\nnet0: x\n"
    )
    file = lxc_files.read(str(path))
    assert file is not None
    assert (file.value("mp0"), file.value("lock")) == ("/tank,mp=/m", "")
    assert file.network == "empty"
    path.write_text("net0: name=eth0,bridge=vmbr0\nlxc.net.0.type: none\n")
    file = lxc_files.read(str(path))
    assert file is not None
    assert file.network == "name=eth0,bridge=vmbr0"


def test_what_of_a_container_its_host_has_is_told_by_its_file(told: Told, tmp_path: Path) -> None:
    (tmp_path / "w").touch()
    lines = (
        "lxc.net.0.type = none",
        "lxc.rootfs.path = overlay:/base:/upper",
        f"lxc.mount.entry = {tmp_path} my\\040models none ro,bind,create=dir 0 0",
        "lxc.mount.entry = tmpfs tmp tmpfs defaults 0 0",
        "lxc.init.cmd = llama-server -m '/my models/w'",
        "lxc.environment = LLAMA_ARG_CTX_SIZE=9",
        "lxc.environment = HOME=/",
    )
    (tmp_path / "gemma3/config").write_text("\n".join(lines))
    asked = {"do": "place", "folder": False, "inside": {"kind": "lxc", "name": "gemma3"}}
    assert answer({**asked, "path": "/my models/w"}, "/") == {"ok": {"problem": ""}}
    for path in ("/tmp/w", "/opt/w"):  # noqa: S108 - of the container
        assert (
            f"{path} lies inside container gemma3" in answer({**asked, "path": path}, "/")["error"]
        )
    told.state = Ended(0, "State: STOPPED\n", "")
    command = answer({"do": "lxc-command", **GIVEN}, "/")["ok"]
    assert command["words"] == ["llama-server", "-m", "/my models/w"]
    assert command["variables"] == {"LLAMA_ARG_CTX_SIZE": "9"}
    assert (command["directory"], command["reached"]) == ("/", ["/my models"])
    (tmp_path / "gemma3/config").unlink()
    assert answer({"do": "lxc-command", **GIVEN}, "/") == {"error": "there is no container gemma3"}
    asked_again = answer({**asked, "path": "/x"}, "/")
    assert asked_again == {"error": "there is no container gemma3, whose paths are meant"}
