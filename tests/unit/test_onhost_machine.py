"""What a machine has is read from its files, within limits, and nothing secret leaves it."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest

from reconciler.embedded.weights import write_weights
from reconciler.model.machine import Machine
from reconciler.onhost import machine, search, servers, services
from reconciler.onhost.procfs import MARK

if TYPE_CHECKING:
    from pathlib import Path

STAT = "{pid} (llama-server) S {parent} {pid} {pid} {terminal} -1 4194304 0 0 0 0 0 0 0 0 20 0 1 0 {start} 0 0\n"
HEADING = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
SYSTEM = "0::/system.slice/llama.service\n"
USER = "0::/user.slice/user-1000.slice/user@1000.service/app.slice/llama.service\n"


class Proc:
    """A /proc of processes that are not there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "net").mkdir(parents=True)
        (folder / "net" / "tcp").write_text(HEADING)

    def listen(self, port: int, inode: int) -> None:
        row = f"   0: 0100007F:{port:04X} 00000000:0000 0A 00000000:00000000 00:00000000 00000000 {os.getuid():5} 0 {inode} 1 0\n"
        with (self.folder / "net" / "tcp").open("a") as table:
            table.write(row)

    def process(self, pid: int, *argv: str, inode: int | None = None, **changed: Any) -> Path:
        """Add a process; without an `inode` its sockets cannot be seen."""
        own = self.folder / str(pid)
        own.mkdir()
        words = {"parent": 1, "terminal": 0, "start": 5, **changed}
        (own / "stat").write_text(STAT.format(pid=pid, **words))
        (own / "cmdline").write_bytes("".join(f"{word}\0" for word in argv).encode())
        (own / "cgroup").write_text(changed.get("cgroup", "0::/user.slice/user-1000.slice/session-3.scope\n"))
        (own / "maps").write_text(changed.get("maps", ""))
        (own / "environ").write_text(changed.get("environ", ""))
        (own / "cwd").symlink_to(changed.get("directory", "/home/ann"))
        (own / "exe").symlink_to(changed.get("program", "/usr/bin/llama-server"))
        if inode is None:
            (own / "fd").write_text("closed")
        else:
            (own / "fd").mkdir()
            (own / "fd" / "3").symlink_to(f"socket:[{inode}]")
        return own

    def servers(self) -> list[dict[str, Any]]:
        return servers.servers(str(self.folder))


@pytest.fixture
def proc(tmp_path: Path) -> Proc:
    return Proc(tmp_path / "proc")


@pytest.mark.parametrize(
    ("cgroup", "service"),
    [
        (SYSTEM, {"name": "llama.service", "scope": "system"}),
        (USER, {"name": "llama.service", "scope": "user"}),
        ("1:name=systemd:/system.slice/llama.service\n0::/\n", {"name": "llama.service", "scope": "system"}),
        ("5:memory:/system.slice/llama.service\n0::/\n", None),
        ("0::/user.slice/user-1000.slice/user@1000.service\n", None),
        ("0::/user.slice/user-1000.slice/session-3.scope\n", None),
        ("", None),
    ],
)
def test_a_service_is_told_by_the_control_group(proc: Proc, cgroup: str, service: dict[str, str] | None) -> None:
    proc.process(9, "llama-server", cgroup=cgroup)
    assert services.service(9, str(proc.folder)) == service


def test_what_was_typed_into_a_terminal_is_no_service(proc: Proc) -> None:
    proc.process(9, "llama-server", cgroup=SYSTEM, terminal=34816)
    assert services.service(9, str(proc.folder)) is None
    assert services.service(10, str(proc.folder)) is None


def test_a_server_is_told_with_all_that_starts_it_again(proc: Proc) -> None:
    proc.listen(8080, 4711)
    proc.process(
        9, "./llama-server", "-m", "a.gguf", "--api-key", "-hush", "--hf-token=hush", inode=4711, cgroup=USER,
        maps="7f0 r--s 0 fd:01 12 /home/ann/a.gguf\n7f1 r--p 0 00:00 0\n", environ="LLAMA_ARG_CTX_SIZE=4\0LLAMA_API_KEY=hush\0",
    )  # fmt: skip
    (found,) = proc.servers()
    assert found == {
        "pid": 9, "port": 8080, "user": found["user"], "directory": "/home/ann", "program": "/home/ann/llama-server",
        "flags": ["-m", "a.gguf", "--api-key", "(hidden)", "--hf-token=(hidden)"], "mapped": ["/home/ann/a.gguf"],
        "variables": ["LLAMA_ARG_CTX_SIZE"], "service": {"name": "llama.service", "scope": "user"}, "model": None,
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


@pytest.mark.parametrize("argv", [("nginx",), ("python3", "/x/server.py"), ("vim", "llama-server"), ()])
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
    assert servers.of_user(9001, os.getuid(), str(proc.folder)) == 9
    assert servers.of_user(9003, os.getuid(), str(proc.folder)) is None


def test_a_unit_of_ours_is_named(proc: Proc) -> None:
    proc.listen(8080, 4711)
    mark = json.dumps({"controller": "c", "model": "qwen", "digest": "d"})
    proc.process(9, "llama-server", inode=4711, environ=f"{MARK}={mark}\0")
    assert [one["model"] for one in proc.servers()] == ["qwen"]


def gguf(path: Path, seed: int = 1) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_weights(path, seed=seed)
    return path


def test_weights_are_found_once_and_only_the_first_part_of_many(tmp_path: Path) -> None:
    one = gguf(tmp_path / "deep" / "er" / "a.gguf")
    (tmp_path / "link.gguf").symlink_to(one)
    (tmp_path / "b-00002-of-00002.gguf").write_bytes(b"")
    (tmp_path / ".hidden").mkdir()
    gguf(tmp_path / ".hidden" / "c.gguf", seed=2)
    gguf(tmp_path / "node_modules" / "d.gguf", seed=3)
    found = search.search([str(tmp_path), str(tmp_path / "deep"), str(tmp_path / "gone")], [])
    assert [file["path"] for file in found.files] == [str(tmp_path / "link.gguf")]
    assert (found.cut, found.files[0]["architecture"], found.files[0]["size"]) == ("", "llama", one.stat().st_size)


def test_a_file_that_is_named_is_found_under_that_name(tmp_path: Path) -> None:
    one = gguf(tmp_path / "a.gguf")
    (tmp_path / "b.gguf").symlink_to(one)
    found = search.search([str(tmp_path)], [str(tmp_path / "b.gguf"), str(tmp_path / "gone.gguf")])
    assert [file["path"] for file in found.files] == [str(tmp_path / "b.gguf")]


def test_what_is_no_gguf_is_said_to_be_none(tmp_path: Path) -> None:
    (tmp_path / "a.gguf").write_bytes(b"PK")
    (file,) = search.search([str(tmp_path)], []).files
    assert "its header is cut short" in file["problem"]


def test_a_folder_that_is_called_like_a_file_is_looked_into(tmp_path: Path) -> None:
    one = gguf(tmp_path / "repo.gguf" / "a.gguf")
    (tmp_path / "gone.gguf").symlink_to(tmp_path / "nowhere")
    gguf(tmp_path / "line\nbreak.gguf", seed=2)
    assert [file["path"] for file in search.search([str(tmp_path)], []).files] == [str(one)]


def test_the_search_goes_only_so_deep(tmp_path: Path) -> None:
    gguf(tmp_path.joinpath(*"abcdefg", "x.gguf"))
    assert search.search([str(tmp_path)], []).files == []


def test_a_search_without_time_says_so(tmp_path: Path) -> None:
    gguf(tmp_path / "a.gguf")
    found = search.search([str(tmp_path)], [], seconds=-1)
    assert (found.files, found.cut) == ([], "the search for GGUF files ended after -1 s or 20000 folders")
    named = search.search([], [str(tmp_path / "a.gguf")], seconds=-1)
    assert (named.cut, named.files[0]["architecture"]) == ("of 1 GGUF files the header was not read in time", "")


def test_a_search_that_finds_too_much_says_so(tmp_path: Path) -> None:
    for number in range(search.FILES_LIMIT + 1):
        (tmp_path / f"{number}.gguf").write_bytes(b"")
    found = search.search([str(tmp_path)], [])
    assert (len(found.files), found.cut) == (
        search.FILES_LIMIT,
        f"the search for GGUF files ended after {search.FILES_LIMIT} files",
    )


def test_home_is_searched_last_and_what_the_environment_names_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLAMA_CACHE", "/cache")
    (tmp_path / "srv" / "models").mkdir(parents=True)
    places = search.places("/home/ann", str(tmp_path))
    assert (places[0], places[-2], places[-1]) == ("/cache", str(tmp_path / "srv" / "models"), "/home/ann/")


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_cards_are_told_with_the_memory_that_the_kernel_knows(tmp_path: Path) -> None:
    write(tmp_path / "proc/driver/nvidia/gpus/0000:01:00.0/information", "Model: \t NVIDIA H200\nIRQ: 5\n")
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


def test_a_whole_machine_is_what_the_model_expects(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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
    found = Machine.model_validate(machine.machine(asked, str(tmp_path / "host"), str(tmp_path / "root")))
    assert (found.memory_bytes, found.free_port) == (65536 * 1024, 8081)
    assert found.servers[0].mapped == (str(weights),) == tuple(file.path for file in found.weights)
    assert [(node.path, node.usable) for node in found.nodes] == [(str(tmp_path / "root/dev/nvidia0"), True)]
    assert [(folder.nearest, folder.writable) for folder in found.folders] == [(str(tmp_path), True), (str(weights), False)]
    assert found.folders[0].path == str(tmp_path / "host" / "models/a/slots")


def test_without_a_search_no_weights_are_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    Proc(tmp_path / "proc")
    gguf(tmp_path / "a.gguf")
    assert machine.machine({"search": False}, "/", str(tmp_path))["weights"] == []


def test_programs_are_found_on_the_path_and_in_well_known_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Proc(tmp_path / "proc")
    for place in ("on-path", "bin", "llama.cpp/build/bin"):
        write(tmp_path / place / "llama-server", "")
        (tmp_path / place / "llama-server").chmod(0o755)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path / "on-path"))
    found = machine.machine({"search": False}, "/", str(tmp_path))["programs"]
    assert found[0] == str(tmp_path / "on-path/llama-server")
    assert {str(tmp_path / place / "llama-server") for place in ("bin", "llama.cpp/build/bin")} <= set(found)
