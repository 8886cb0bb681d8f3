"""What a machine has is read from its files, within limits, and nothing secret leaves it."""

from __future__ import annotations

import json
import os
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from reconciler.model.machine import Machine
from reconciler.onhost import machine, servers, services
from reconciler.onhost.procfs import MARK
from tests.fakeproc import Proc, gguf

if TYPE_CHECKING:
    from pathlib import Path

SYSTEM = "0::/system.slice/llama.service\n"
USER = "0::/user.slice/user-1000.slice/user@1000.service/app.slice/llama.service\n"


@pytest.fixture
def proc(tmp_path: Path) -> Proc:
    return Proc(tmp_path / "proc")


@pytest.mark.parametrize(
    ("cgroup", "service"),
    [
        (SYSTEM, {"name": "llama.service", "scope": "system"}),
        (USER, {"name": "llama.service", "scope": "user"}),
        (
            "1:name=systemd:/system.slice/llama.service\n0::/\n",
            {"name": "llama.service", "scope": "system"},
        ),
        ("5:memory:/system.slice/llama.service\n0::/\n", None),
        ("0::/user.slice/user-1000.slice/user@1000.service\n", None),
        ("0::/user.slice/user-1000.slice/session-3.scope\n", None),
        ("", None),
    ],
)
def test_a_service_is_told_by_the_control_group(
    proc: Proc, cgroup: str, service: dict[str, str] | None
) -> None:
    proc.process(9, "llama-server", cgroup=cgroup)
    assert services.service(9, str(proc.folder)) == service


def test_what_was_typed_into_a_terminal_is_no_service(proc: Proc) -> None:
    proc.process(9, "llama-server", cgroup=SYSTEM, terminal=34816)
    assert services.service(9, str(proc.folder)) is None
    assert services.service(10, str(proc.folder)) is None


def test_a_server_is_told_with_all_that_starts_it_again(proc: Proc) -> None:
    proc.listen(8080, 4711)
    proc.process(
        9, "./llama-server", "-m", "a.gguf", "--api-key", "-hush", "--hf-token=hush", inode=4711,
        cgroup=USER, maps="7f0 r--s 0 fd:01 12 /home/ann/a.gguf\n7f1 r--p 0 00:00 0\n",
        environ="LLAMA_ARG_FIT=off\0LLAMA_API_KEY=hush\0",
    )  # fmt: skip
    (found,) = proc.servers()
    assert found == {
        "pid": 9, "port": 8080, "user": found["user"], "directory": "/home/ann",
        "program": "/home/ann/llama-server",
        "flags": ["-m", "a.gguf", "--api-key", "(hidden)", "--hf-token=(hidden)"],
        "mapped": ["/home/ann/a.gguf"], "variables": ["LLAMA_API_KEY", "LLAMA_ARG_FIT"],
        "service": {"name": "llama.service", "scope": "user"}, "model": None, "container": None,
        "supervisor": "", "socket": "",
    }  # fmt: skip
    assert "hush" not in json.dumps(found)


@pytest.mark.parametrize(
    ("argv", "program"),
    [
        (("llama-server", "-fa"), "/usr/bin/llama-server"),
        (("/opt/llama-server-cuda", "-fa"), "/opt/llama-server-cuda"),
        (("python3.11", "bin/llama-server", "-fa"), "/home/ann/bin/llama-server"),
    ],
)
def test_a_server_is_known_by_its_name(proc: Proc, argv: tuple[str, ...], program: str) -> None:
    proc.listen(8080, 4711)
    proc.process(9, *argv, inode=4711)
    (found,) = proc.servers()
    assert (found["program"], found["flags"]) == (program, ["-fa"])


def test_variables_that_say_what_it_serves_are_told_as_flags_and_what_is_typed_wins(
    proc: Proc,
) -> None:
    proc.listen(8080, 4711)
    environ = (
        "LLAMA_ARG_RERANKING=True\0LLAMA_ARG_EMBEDDINGS=0\0LLAMA_ARG_POOLING=rank\0"
        "LLAMA_ARG_CTX_SIZE=4096\0X=1\0"
    )
    proc.process(9, "llama-server", "-c", "512", inode=4711, environ=environ)
    (found,) = proc.servers()
    assert found["flags"] == ["--ctx-size", "4096", "--pooling", "rank", "--reranking", "-c", "512"]
    assert found["variables"] == []


def test_of_a_server_whose_sockets_are_hidden_a_variable_tells_the_port(proc: Proc) -> None:
    proc.listen(9001, 2)
    proc.process(9, "llama-server", environ="LLAMA_ARG_PORT=9001\0")
    assert [one["port"] for one in proc.servers()] == [9001]


def test_a_server_on_a_unix_socket_is_found_with_the_port_that_it_could_have(
    proc: Proc, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    proc.listen(8080, 1)
    proc.process(
        9,
        "llama-server",
        "--host",
        "127.0.0.1",
        "--host=run/llama.sock",
        "--port",
        "9000",
        inode=4711,
    )
    proc.process(10, "llama-server", "--host", "sock", inode=4712)
    (found,) = machine.machine({}, str(tmp_path), str(proc.folder.parent))["servers"]
    assert (found["pid"], found["socket"], found["port"]) == (9, "/home/ann/run/llama.sock", 8081)


def test_what_a_server_in_a_container_serves_is_told_by_the_file_that_it_has_there(
    proc: Proc, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The path in there is also one here, of another file."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    served, other = gguf(tmp_path / "home/models/a.gguf"), gguf(tmp_path / "m/a.gguf", seed=2)
    argv, maps = ("/app/llama-server", "-m", str(other)), f"7f0 r--s 0 fd:01 12 {other}\n"
    for pid in (9, 10):
        own = proc.process(
            pid, *argv, inode=4711, maps=maps, cgroup=f"0::/docker/{pid:064x}\n", directory="/app"
        )
        inside = own / "root" / str(other).lstrip("/")
        inside.parent.mkdir(parents=True)
        inside.hardlink_to(served if pid == 9 else gguf(tmp_path / "volume/b.gguf", seed=3))
    found = machine.machine({}, str(tmp_path), str(proc.folder.parent))
    assert [file["path"] for file in found["weights"]] == [str(served)]
    assert [(one["mapped"], one["program"], one["port"]) for one in found["servers"]] == [
        ([str(served)], "", 8080),
        ([], "", 8080),
    ]


@pytest.mark.parametrize(
    "argv", [("nginx",), ("python3", "/x/server.py"), ("vim", "llama-server"), ()]
)
def test_another_program_is_none(proc: Proc, argv: tuple[str, ...]) -> None:
    proc.listen(8080, 4711)
    proc.process(9, *argv, inode=4711)
    assert proc.servers() == []


def test_a_server_that_does_not_listen_or_that_another_one_started_is_left_out(proc: Proc) -> None:
    proc.listen(8080, 4711)
    proc.listen(9001, 4712)
    proc.process(9, "llama-server", inode=4711)
    proc.process(10, "llama-server", inode=4712, parent=9)
    proc.process(11, "llama-server", inode=4713)
    assert [one["pid"] for one in proc.servers()] == [9]


def test_of_a_server_whose_sockets_are_hidden_its_words_tell_the_port(proc: Proc) -> None:
    proc.listen(8080, 1)
    proc.listen(9001, 2)
    proc.process(9, "llama-server", "--port", "9001")
    proc.process(10, "llama-server", "--port=9002")
    proc.process(11, "llama-server")
    assert {one["pid"]: one["port"] for one in proc.servers()} == {9: 9001, 11: 8080}
    assert servers.told(9001, [11, 10, 9], str(proc.folder)) == 9
    assert servers.told(9003, [11, 10, 9], str(proc.folder)) is None


def test_a_unit_of_ours_is_named(proc: Proc) -> None:
    proc.listen(8080, 4711)
    mark = json.dumps({"controller": "c", "model": "qwen", "digest": "d"})
    proc.process(9, "llama-server", inode=4711, environ=f"{MARK}={mark}\0")
    assert [one["model"] for one in proc.servers()] == ["qwen"]


def test_a_descriptor_that_was_closed_meanwhile_hides_no_socket(proc: Proc) -> None:
    proc.listen(8080, 4711)
    own = proc.process(9, "llama-server", inode=4711)
    (own / "fd" / "0").write_text("no link: as one that was closed since the folder was listed")
    assert [one["port"] for one in proc.servers()] == [8080]


def test_a_folder_whose_name_is_no_text_can_still_be_told(proc: Proc) -> None:
    proc.listen(8080, 4711)
    proc.process(9, "./llama-server", inode=4711, directory="/srv/\udcff")
    assert [(one["directory"], one["program"]) for one in proc.servers()] == [
        ("/srv/\ufffd", "/srv/\ufffd/llama-server")
    ]


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_cards_are_told_with_the_memory_that_the_kernel_knows(tmp_path: Path) -> None:
    write(
        tmp_path / "proc/driver/nvidia/gpus/0000:01:00.0/information",
        "Model: \t NVIDIA H200\nIRQ: 5\n",
    )
    write(tmp_path / "sys/class/drm/card0/device/vendor", "0x10de\n")
    write(tmp_path / "sys/class/drm/card1/device/vendor", "0x1002\n")
    write(tmp_path / "sys/class/drm/card1/device/mem_info_vram_total", "17163091968\n")
    write(tmp_path / "sys/class/drm/card2/device/vendor", "0x8086\n")
    write(tmp_path / "sys/class/drm/card3/device/vendor", "0x1234\n")
    write(tmp_path / "sys/class/drm/card1-DP-1/device/vendor", "0x1002\n")
    assert machine.cards(str(tmp_path)) == [
        {"vendor": "nvidia", "name": "NVIDIA H200", "memory_bytes": None},
        {"vendor": "amd", "name": "", "memory_bytes": 17163091968},
        {"vendor": "intel", "name": "", "memory_bytes": None},
    ]


def test_a_card_of_nvidia_without_its_driver_is_told_beside_others(tmp_path: Path) -> None:
    write(tmp_path / "sys/class/drm/card0/device/vendor", "0x8086\n")
    write(tmp_path / "sys/class/drm/card1/device/vendor", "0x10de\n")
    assert [card["vendor"] for card in machine.cards(str(tmp_path))] == ["intel", "nvidia"]


def test_a_whole_machine_is_what_the_model_expects(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    proc = Proc(tmp_path / "root" / "proc")
    weights = gguf(tmp_path / "home" / "models" / "a.gguf")
    blob = tmp_path / "home" / "models" / "blobs" / ("0f" * 20)
    blob.parent.mkdir()
    blob.hardlink_to(weights)
    write(tmp_path / "root/proc/meminfo", "MemTotal:       65536 kB\n")
    write(tmp_path / "root/dev/nvidia0", "")
    proc.listen(8080, 4711)
    proc.process(9, "llama-server", "-hf", "a/b", inode=4711, maps=f"7f0 r--s 0 fd:01 12 {blob}\n")
    asked = {"folders": ["models/a/slots", str(weights / "slots")]}
    found = Machine.model_validate(
        machine.machine(asked, str(tmp_path / "host"), str(tmp_path / "root"))
    )
    assert (found.memory_bytes, found.free_port) == (65536 * 1024, 8081)
    assert found.servers[0].mapped == (str(weights),) == tuple(file.path for file in found.weights)
    assert [(node.path, node.usable) for node in found.nodes] == [
        (str(tmp_path / "root/dev/nvidia0"), True)
    ]
    assert [(folder.nearest, folder.writable) for folder in found.folders] == [
        (str(tmp_path), True),
        (str(weights), False),
    ]
    assert [folder.obstacle for folder in found.folders] == ["", "no folder"]
    assert found.folders[0].path == str(tmp_path / "host" / "models/a/slots")


def judged(folder: Path) -> tuple[bool, str]:
    """Return whether a folder can be written, and what is in the way."""
    found = machine.machine({"search": False, "folders": [str(folder)]}, "/", str(folder.parent))[
        "folders"
    ][0]
    return found["writable"], found["obstacle"]


def test_what_no_other_owner_of_a_folder_would_change_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Proc(tmp_path / "proc")
    (tmp_path / "own").mkdir()
    assert judged(tmp_path / "own") == (True, "")
    closed = {os.X_OK, os.W_OK | os.X_OK}
    monkeypatch.setattr(os, "access", lambda _, mode: mode not in closed)
    assert judged(tmp_path / "own") == (False, "closed")
    closed.remove(os.X_OK)
    assert judged(tmp_path / "own") == (False, "")
    disk = SimpleNamespace(
        f_flag=os.ST_RDONLY, f_bavail=0, f_frsize=1, f_blocks=1, f_bfree=0, f_files=9, f_favail=0
    )
    monkeypatch.setattr(os, "statvfs", lambda _: disk)
    assert judged(tmp_path / "own") == (False, "read-only")
    disk.f_flag = 0
    assert judged(tmp_path / "own") == (False, "no files")


def test_without_a_search_no_weights_are_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    Proc(tmp_path / "proc")
    gguf(tmp_path / "a.gguf")
    assert machine.machine({"search": False}, "/", str(tmp_path))["weights"] == []


def test_programs_are_found_on_the_path_and_in_well_known_places(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Proc(tmp_path / "proc")
    for place in ("on-path", "bin", "llama.cpp/build/bin"):
        write(tmp_path / place / "llama-server", "")
        (tmp_path / place / "llama-server").chmod(0o755)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path / "on-path"))
    found = machine.machine({"search": False}, "/", str(tmp_path))["programs"]
    assert found[0] == str(tmp_path / "on-path/llama-server")
    assert {
        str(tmp_path / place / "llama-server") for place in ("bin", "llama.cpp/build/bin")
    } <= set(found)
