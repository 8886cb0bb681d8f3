"""What the program on a host makes of a real systemd: failed services, and what a logout ends."""

from __future__ import annotations

import json
import sys

import pytest

from reconciler.loop import step_run
from reconciler.onhost import systemctl, systemd
from reconciler.steps.start import Start
from tests.booted import booted_systemd
from tests.running import until

NOBODY = 65534
LISTENER = """
import os, signal, socket
listener = socket.create_server(("127.0.0.1", 0))
with open("/run/port.new", "w") as file:
    file.write(str(listener.getsockname()[1]))
os.rename("/run/port.new", "/run/port")
signal.pause()
"""
LOGIND = "/lib/systemd/systemd-logind"


ENDINGS = {
    "liar": (
        "ExecStart=/bin/true\nRestart=always\nRestartSec=9",
        "it ended with status 0 before it served",
    ),
    "pre": (
        "ExecStartPre=/bin/sh -c 'exit 32'\nExecStart=/bin/sleep 9\nRestart=always\nRestartSec=9",
        "its ExecStartPre= ended with status 32",
    ),
    "slow": (
        "TimeoutStartSec=100ms\nExecStartPre=/bin/sleep 9\nExecStart=/bin/sleep 9",
        "its ExecStartPre= ran too long (TimeoutStartSec=)",
    ),
    "gate": (
        "ExecCondition=/bin/sh -c 'exit 255'\nExecStart=/bin/sleep 9",
        "its ExecCondition= ended with status 255",
    ),
    "once": ("ExecStart=/bin/true", "nothing of it ran, or it was over at once"),
}
WAITS = "ExecStartPre=/bin/sleep 9\nExecStart=/bin/sleep 9"


def test_a_start_is_waited_for_longer_than_its_host_takes_to_say_what_it_waits_for() -> None:
    deadline: float = Start.model_fields["deadline"].default
    assert deadline + step_run.SLACK_SECONDS >= systemd.START_SECONDS + systemctl.SECONDS


def test_how_a_service_failed_to_start_is_told_as_systemd_saw_it() -> None:
    asked = f"""import json; from reconciler.onhost.serve import answer
names = [name + ".service" for name in {list(ENDINGS)!r}]
starts = [{{"do": "start-service", "name": name, "scope": "system"}} for name in names]
print(json.dumps([answer(start, "/") for start in starts]))"""
    seen = """import json; from reconciler.onhost.serve import answer
look = {"do": "services", "services": [{"name": "pre.service", "scope": "system"}]}
print(json.dumps(answer(look, "/")["ok"]["services"][0]["unit"]))"""
    late = """import json; from reconciler.onhost import serve, systemd; systemd.START_SECONDS = 0.1
start = {"do": "start-service", "name": "waits.service", "scope": "system"}
print(json.dumps(serve.answer(start, "/")))"""
    with booted_systemd() as booted:
        booted.write("/run/systemd/system/waits.service", f"[Service]\n{WAITS}\n")
        for name, (lines, _) in ENDINGS.items():
            booted.write(f"/run/systemd/system/{name}.service", f"[Service]\n{lines}\n")
        booted.run("systemctl", "daemon-reload")
        answers = dict(
            zip(ENDINGS, json.loads(booted.run(sys.executable, "-c", asked)), strict=True)
        )
        tries = json.loads(booted.run(sys.executable, "-c", seen))
        assert "waits.service is waited for: its ExecStartPre= still runs" in booted.run(
            sys.executable, "-c", late
        )
    assert (tries["leader"], tries["ended"]) == (False, "its ExecStartPre= ended with status 32")
    wrong = {
        name: answers[name]
        for name, (_, said) in ENDINGS.items()
        if f"did not start: {said}" not in str(answers[name])
    }
    # What ends so fast may have been seen while it ran: then nothing is said, and the look after it
    # says the rest.
    assert {name for name, one in wrong.items() if "error" in one} == set(), wrong


@pytest.mark.parametrize(
    ("settings", "kills"),
    [
        ("KillUserProcesses=no", False),
        ("KillUserProcesses=yes", True),
        ("KillUserProcesses=yes\nKillExcludeUsers=root ops", False),
        ("KillUserProcesses=yes\nKillOnlyUsers=ops", False),
        ("KillUserProcesses=yes\nKillOnlyUsers=root ops", True),
    ],
)
def test_what_logging_out_ends_is_told_as_logind_goes_by_it(settings: str, kills: bool) -> None:
    asked = (
        "import json; from reconciler.onhost.logins import logins;"
        " print(json.dumps(logins('root')))"
    )
    with booted_systemd() as booted:
        assert json.loads(booted.run(sys.executable, "-c", asked)) == {
            "kills": False,
            "lingers": False,
        }
        booted.write(
            "/run/systemd/logind.conf.d/ours.conf", f"[Login]\nKillExcludeUsers=\n{settings}\n"
        )
        booted.define(
            "logind.service",
            f"[Service]\nType=dbus\nBusName=org.freedesktop.login1\nExecStart={LOGIND}\n",
        )
        booted.run("systemctl", "start", "logind")
        booted.run("loginctl", "enable-linger", "root")
        assert json.loads(booted.run(sys.executable, "-c", asked)) == {
            "kills": kills,
            "lingers": True,
        }


def test_whose_a_port_is_that_a_service_of_another_account_listens_on_is_told_by_its_socket() -> (
    None
):
    """Who asks may not see what any process of others has open."""
    asked = f"""import json, os; from reconciler.onhost.serve import answer
os.setgroups([]), os.setgid({NOBODY}), os.setuid({NOBODY})
print(json.dumps(answer({{"do": "port", "port": %d}}, "/")["ok"]["owner"]))"""
    with booted_systemd() as booted:
        booted.write("/run/listener.py", LISTENER)
        booted.define("web.service", f"[Service]\nExecStart={sys.executable} /run/listener.py\n")
        booted.run("systemctl", "start", "web")
        until(booted.path("/run/port").exists)
        port = int(booted.path("/run/port").read_text())
        owner = json.loads(booted.run(sys.executable, "-c", asked % port))
        main = int(booted.shows("web", "MainPID"))
    assert (owner["pid"], owner["user"]) == (main, "root")
    assert owner["service"] == {"name": "web.service", "scope": "system"}


def test_a_service_without_a_program_and_one_by_its_other_name_hide_and_double_none() -> None:
    asked = """import json; from reconciler.onhost.serve import answer
print(json.dumps(answer({"do": "found-services"}, "/")["ok"]["services"]))"""
    runs = "ExecStart=/opt/llama-server -m /m.gguf"
    with booted_systemd() as booted:
        booted.define("a.service", f"[Service]\n{runs}\n[Install]\nAlias=b.service\n")
        booted.define("nothing.service", "[Service]\nExecStart=no/program\n")
        booted.run("systemctl", "enable", "--runtime", "a.service")
        found = json.loads(booted.run(sys.executable, "-c", asked))
    assert [(one["service"]["name"], one["flags"]) for one in found] == [
        ("a.service", ["-m", "/m.gguf"])
    ]


def test_a_users_systemd_that_does_not_run_hides_no_other_service() -> None:
    asked = """import json; from reconciler.onhost.serve import answer
pairs = [("a", "user"), ("b", "system")]
named = [{"name": f"{name}.service", "scope": scope} for name, scope in pairs]
print(json.dumps(answer({"do": "services", "services": named}, "/")["ok"]["services"]))"""
    with booted_systemd() as booted:
        booted.define("b.service", "[Service]\nExecStart=/bin/sleep 60\n")
        booted.run("systemctl", "start", "b.service")
        mine, its = json.loads(booted.run(sys.executable, "-c", asked))
    assert (mine["unit"], its["unit"]["leader"]) == (None, True)
    assert mine["binary"]["problem"] == {
        "found": "the systemd of root does not run, and so none of its services",
        "fix": "`loginctl enable-linger root` starts it, also at boot",
    }
