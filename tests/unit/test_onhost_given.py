"""What exists already, as the host's program reads it where a real one is seldom so."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest

from reconciler.onhost import docker, given, procfs, systemctl
from reconciler.onhost.serve import answer

if TYPE_CHECKING:
    from pathlib import Path

SERVICE = {"do": "service-command", "name": "my-llm@1.service", "scope": "system"}
SHOWN = {
    "MainPID": "0",
    "WorkingDirectory": "!/srv",
    "User": "",
    "Environment": "",
    "UnsetEnvironment": "",
}


class Systemd:
    """A systemd that has one service."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.shown = {**SHOWN, "EnvironmentFiles": ""}
        self.commands: list[Any] = [["/bin/llama-server", ["llama-server", "-m", "/w"], []]]
        self.asked: list[str] = []
        monkeypatch.setattr(systemctl, "run", self._run)

    def _run(self, argv: list[str], _: str, *, may_fail: bool = False) -> str:
        self.asked += argv
        if argv[0] == "busctl":
            return json.dumps({"type": "a(sasasttttuii)", "data": self.commands})
        return "\n".join(f"{name}={value}" for name, value in self.shown.items())

    def command(self, *words: str, how: tuple[str, ...] = ()) -> dict[str, Any]:
        self.commands[0] = ["/bin/llama-server", ["llama-server", *words], [*how]]
        told: dict[str, Any] = answer(SERVICE, "/")["ok"]
        return told


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Systemd:
    return Systemd(monkeypatch)


def test_a_service_is_found_by_the_name_of_its_object(service: Systemd) -> None:
    told = service.command("-m", "/w")
    assert "/org/freedesktop/systemd1/unit/my_2dllm_401_2eservice" in service.asked
    assert (told["words"], told["directory"]) == (["/bin/llama-server", "-m", "/w"], "/srv")
    service.commands.clear()
    assert answer(SERVICE, "/")["ok"] == {"problem": "my-llm@1.service runs nothing"}


def test_words_are_written_back_as_systemd_takes_them(service: Systemd) -> None:
    told = service.command("a b", '"', "50%", "${X}", how=("no-env-expand",))
    written = 'ExecStart=:/bin/llama-server "a b" "\\"" 50%% ${X} '
    assert told["adding"].endswith(written)
    assert told["words"][1:] == ["a b", '"', "50%", "${X}"]


@pytest.mark.parametrize(
    "words",
    [
        ("--api-key", "hush", "-c", "1"),
        ("--api-key=hush", "-c", "1"),
        ("-e", "LLAMA_API_KEY=hush", "-c", "1"),
        ("--env=HF_TOKEN=hush", "-c", "1"),
        ("-eHF_TOKEN=hush", "-c", "1"),
    ],
)
def test_a_secret_among_its_words_is_not_told_where_they_are_written_back(
    service: Systemd, words: tuple[str, ...]
) -> None:
    told = service.command(*words)
    assert "hush" not in told["adding"]
    assert told["adding"].endswith('(hidden)" -c 1 ')
    assert told["words"][1:] == [*words]


def test_who_loads_weights_from_the_web_is_not_told(service: Systemd) -> None:
    told = service.command("--model-url", "https://ann:hush@host/w@1.gguf", "-c", "1")
    assert told["adding"].endswith('"https://(hidden)@host/w@1.gguf" -c 1 ')


def test_a_variable_that_is_not_set_is_nothing(service: Systemd) -> None:
    service.shown["Environment"] = 'A=1 "B=2 3" LLAMA_ARG_FIT=off LLAMA_API_KEY=secret'
    told = service.command("$A", "x${A}y", "$B", "${B}", "$C", "z${C}", "$$A")
    assert told["words"][1:] == ["1", "x1y", "2", "3", "2 3", "z", "$A"]
    assert told["variables"] == {"LLAMA_ARG_FIT": "off"}, "a secret is not told"


def test_an_environment_that_is_hidden_makes_the_words_unknown(
    service: Systemd, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "llm.env"
    file.write_text("; no\nA='1 2'\n")
    service.shown["EnvironmentFiles"] = f"{file} (ignore_errors=no)"
    assert service.command("$A")["words"][1:] == ["1", "2"]

    def refused(path: str, *_: object) -> None:
        raise PermissionError(13, "denied", path)

    monkeypatch.setattr("builtins.open", refused)
    assert service.command("$A")["problem"] == f"{file}, its environment, cannot be read"


def test_what_runs_is_seen_and_not_worked_out(
    service: Systemd, monkeypatch: pytest.MonkeyPatch
) -> None:
    service.shown["MainPID"] = "7"
    monkeypatch.setattr(procfs, "argv", lambda _: ["llama-server", "-c", "1"])
    monkeypatch.setattr(procfs, "environment", lambda _: {"LLAMA_ARG_FIT": "off", "HOME": "/"})
    told = service.command("$A")
    assert told["words"] == ["/bin/llama-server", "-c", "1"]
    assert told["variables"] == {"LLAMA_ARG_FIT": "off"}
    monkeypatch.setattr(procfs, "environment", lambda _: {})
    assert service.command("$A")["words"] == ["/bin/llama-server"], "of another account"


@pytest.mark.parametrize(
    ("user", "uid", "other"),
    [
        ("", 1000, "root"),
        ("0:0", 1000, "root"),
        ("1000:5", 1000, ""),
        ("llm", 1000, "llm"),
        ("llm", 0, ""),
    ],
)
def test_a_container_that_runs_as_another_account_is_told(
    monkeypatch: pytest.MonkeyPatch, user: str, uid: int, other: str
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: uid)
    config = {"Env": None, "WorkingDir": "", "User": user}
    seen = {"Path": "x", "Args": [], "Config": config, "Mounts": []}
    seen |= {"HostConfig": {"NetworkMode": "host"}, "State": {"Pid": 0}}
    monkeypatch.setattr(docker, "inspected", lambda _: seen)
    told = given.of_container({"name": "glm"}, "/")
    assert (told["user"], told["directory"], told["apart"]) == (other, "/", False)


def test_a_container_that_is_not_there_has_no_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(docker, "inspected", lambda _: None)
    asked = {"do": "container-command", "name": "glm", "socket": ""}
    assert answer(asked, "/") == {"ok": {"absent": True, "problem": "there is no container glm"}}
