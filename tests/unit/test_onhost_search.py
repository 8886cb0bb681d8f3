"""Weights are found where they lie, each once and by a name, and no bad entry hides a good one."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from gguf import GGUFWriter, PoolingType

from reconciler.onhost import caches, files, machine, search
from reconciler.onhost import gguf as gguf_of_weights
from tests.fakeproc import Proc, gguf

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def proc(tmp_path: Path) -> Proc:
    return Proc(tmp_path / "proc")


def test_weights_are_found_once_and_only_the_first_part_of_many(tmp_path: Path) -> None:
    one = gguf(tmp_path / "deep" / "er" / "a.gguf")
    (tmp_path / "link.gguf").symlink_to(one)
    (tmp_path / "b-00002-of-00002.gguf").write_bytes(b"")
    (tmp_path / ".hidden").mkdir()
    gguf(tmp_path / ".hidden" / "c.gguf", seed=2)
    gguf(tmp_path / "node_modules" / "d.gguf", seed=3)
    found = search.search([str(tmp_path), str(tmp_path / "deep"), str(tmp_path / "gone")], [])
    assert [file["path"] for file in found.files] == [str(tmp_path / "link.gguf")]
    assert (found.cut, found.files[0]["architecture"], found.files[0]["size"]) == (
        "",
        "llama",
        one.stat().st_size,
    )


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
    assert (found.files, found.cut) == (
        [],
        "the search for GGUF files ended after -1 s or 20000 folders",
    )
    named = search.search([], [str(tmp_path / "a.gguf")], seconds=-1)
    assert (named.cut, named.files[0]["architecture"]) == (
        "of 1 GGUF files the header was not read in time",
        "",
    )


def test_a_search_that_finds_too_much_says_so(tmp_path: Path) -> None:
    for number in range(search.FILES_LIMIT + 1):
        (tmp_path / f"{number}.gguf").write_bytes(b"")
    found = search.search([str(tmp_path)], [])
    assert (len(found.files), found.cut) == (
        search.FILES_LIMIT,
        f"the search for GGUF files ended after {search.FILES_LIMIT} files",
    )


def test_home_is_searched_last_and_what_the_environment_names_first(tmp_path: Path) -> None:
    (tmp_path / "srv" / "models").mkdir(parents=True)
    places = search.places(
        "/home/ann", [{"LLAMA_CACHE": "/cache", "HOME": "/home/ann"}], str(tmp_path)
    )
    assert (places[0], places[-2], places[-1]) == (
        "/cache",
        str(tmp_path / "srv" / "models"),
        "/home/ann/",
    )


@pytest.mark.parametrize(
    ("environment", "folders"),
    [
        ({"HF_HUB_CACHE": "/data/hub"}, ["/data/hub"]),
        ({"HUGGINGFACE_HUB_CACHE": "/old/hub"}, ["/old/hub"]),
        (
            {"HF_HOME": "/data/hf", "HOME": "/h"},
            ["/data/hf", "/h/.cache/llama.cpp", "/h/.cache/huggingface/hub"],
        ),
        ({"XDG_CACHE_HOME": "/c", "HOME": "/h"}, ["/c/llama.cpp", "/c/huggingface/hub"]),
        ({"LLAMA_CACHE": "relative", "HF_HOME": ""}, []),
    ],
)
def test_an_environment_says_where_downloads_are_kept(
    environment: dict[str, str], folders: list[str]
) -> None:
    assert caches.folders(environment) == folders


REVISION = "0a" * 20


def hub(repository: Path, *names: str) -> list[Path]:
    """Make a repository as the Hub's cache keeps it: files by digest, and named links to them."""
    blobs = []
    for number, name in enumerate(names):
        blob = gguf(repository / "blobs" / f"{number:064x}", seed=number)
        link = repository / "snapshots" / REVISION / name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(os.path.relpath(blob, link.parent))
        blobs.append(blob)
    return blobs


def test_a_blob_of_the_hub_is_found_by_the_name_of_the_link_to_it(tmp_path: Path) -> None:
    tiny, other = hub(tmp_path / "models--acme--Tiny-GGUF", "UD/Tiny-Q4_K_M.gguf", "Other.gguf")
    other.with_name("f" * 64).hardlink_to(other)
    unlinked = gguf(tmp_path / "blobs" / ("0b" * 32), seed=9)
    found = search.search([], [str(tiny), str(unlinked)])
    snapshot = tmp_path / "models--acme--Tiny-GGUF" / "snapshots" / REVISION
    assert [file["path"] for file in found.files] == [
        str(unlinked),
        str(snapshot / "UD" / "Tiny-Q4_K_M.gguf"),
    ]
    assert not any(file["problem"] for file in found.files)


def test_a_server_that_downloaded_elsewhere_is_found_with_its_file(
    proc: Proc, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where it keeps downloads is said by its own environment, not by that of whoever looks."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    served, _ = hub(tmp_path / "hub" / "models--acme--Tiny", "Tiny.gguf", "Beside.gguf")
    proc.listen(8080, 4711)
    environ = f"HF_HUB_CACHE={tmp_path / 'hub'}\0"
    proc.process(
        9,
        "llama-server",
        "-hf",
        "acme/Tiny",
        inode=4711,
        maps=f"7f0 r--s 0 fd:01 12 {served}\n",
        environ=environ,
    )
    found = machine.machine({}, str(tmp_path), str(proc.folder.parent))
    links = [
        str(tmp_path / "hub/models--acme--Tiny/snapshots" / REVISION / name)
        for name in ("Beside.gguf", "Tiny.gguf")
    ]
    assert [file["path"] for file in found["weights"]] == links
    assert found["servers"][0]["mapped"] == links[1:]


@pytest.mark.parametrize(
    "flags", [("-m", "models/qwen"), ("--model", "models/qwen"), ("--model=models/qwen",)]
)
def test_weights_without_an_ending_are_found_where_a_server_was_told_of_them(
    proc: Proc, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flags: tuple[str, ...]
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    one = gguf(tmp_path / "models" / "qwen")
    proc.listen(8080, 4711)
    proc.process(9, "llama-server", *flags, inode=4711, directory=str(tmp_path))
    found = machine.machine({}, str(tmp_path), str(proc.folder.parent))
    assert [file["path"] for file in found["weights"]] == [str(one)]


def test_the_later_parts_of_a_served_model_are_no_models_wherever_they_are_seen(
    proc: Proc, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    names = [f"big-0000{number}-of-00003.gguf" for number in (1, 2, 3)]
    plain = [
        gguf(tmp_path / "home" / "models" / name, seed=number) for number, name in enumerate(names)
    ]
    blobs = hub(
        tmp_path / "elsewhere" / "models--acme--Huge",
        *(f"huge-0000{number}-of-00002.gguf" for number in (1, 2)),
    )
    for pid, parts in ((9, plain), (10, blobs)):
        proc.listen(8000 + pid, pid)
        maps = "".join(f"7f0 r--s 0 fd:01 12 {path}\n" for path in parts)
        proc.process(pid, "llama-server", "-m", str(parts[0]), inode=pid, maps=maps)
    found = machine.machine({}, str(tmp_path), str(proc.folder.parent))
    firsts = [
        str(
            tmp_path
            / "elsewhere/models--acme--Huge/snapshots"
            / REVISION
            / "huge-00001-of-00002.gguf"
        ),
        str(plain[0]),
    ]
    assert [file["path"] for file in found["weights"]] == firsts
    assert [one["mapped"] for one in found["servers"]] == [firsts[1:], firsts[:1]]


SERVER = """#!{python}
import mmap, socket, sys, time
files = [open(path, "rb") for path in sys.argv[2:]]
held = [mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) for file in files]
listener = socket.create_server(("127.0.0.1", 0))
print("ready", flush=True)
time.sleep(60)
"""


def test_of_a_real_process_that_has_all_parts_of_a_download_in_memory_the_first_is_found_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    program = tmp_path / "llama-server"
    program.write_text(SERVER.format(python=sys.executable))
    program.chmod(0o755)
    cache = tmp_path / "cache" / "models--acme--Huge-GGUF"
    blobs = hub(cache, *(f"Huge-Q8_0-0000{number}-of-00003.gguf" for number in (1, 2, 3)))
    argv = [str(program), "-hf", *map(str, blobs)]
    with subprocess.Popen(
        argv, stdout=subprocess.PIPE, env={**os.environ, "HF_HOME": str(tmp_path / "cache")}
    ) as server:
        assert server.stdout is not None
        assert server.stdout.readline() == b"ready\n"
        found = machine.machine({}, str(tmp_path))
        server.kill()
    (one,) = (one for one in found["servers"] if one["pid"] == server.pid)
    first = str(cache / "snapshots" / REVISION / "Huge-Q8_0-00001-of-00003.gguf")
    assert one["mapped"] == [first]
    assert [file["path"] for file in found["weights"] if str(tmp_path) in file["path"]] == [first]


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("a-00001-of-00005.gguf", 1),
        ("a-00005-of-00005.gguf", 5),
        ("a-00006-of-00005.gguf", 0),
        ("a-00000-of-00005.gguf", 0),
        ("a-00001-of-00001.gguf", 0),
        ("a.gguf", 0),
        ("a-00002-of-00005.gguf.part", 0),
    ],
)
def test_which_part_of_a_model_a_file_is_stands_in_its_name(name: str, part: int) -> None:
    assert files.part(f"/models/{name}") == part


def test_a_later_part_cannot_be_served_and_the_first_is_named(tmp_path: Path) -> None:
    problem = gguf_of_weights.header(str(gguf(tmp_path / "a-00002-of-00002.gguf")))["problem"]
    assert problem.endswith(
        f"are a later part of a split model; name its first, {tmp_path}/a-00001-of-00002.gguf"
    )


def test_all_parts_behind_links_of_the_hub_are_read_and_the_one_that_is_missing_is_named(
    tmp_path: Path,
) -> None:
    blobs = hub(
        tmp_path / "models--acme--Huge",
        *(f"huge-0000{number}-of-00005.gguf" for number in range(1, 6)),
    )
    first = tmp_path / "models--acme--Huge" / "snapshots" / REVISION / "huge-00001-of-00005.gguf"
    whole = gguf_of_weights.header(str(first))
    assert (whole["problem"], whole["shards"], whole["size"]) == (
        "",
        5,
        sum(blob.stat().st_size for blob in blobs),
    )
    blobs[2].unlink()
    assert (
        "huge-00003-of-00005.gguf cannot be read: there is no such file"
        in gguf_of_weights.header(str(first))["problem"]
    )


@pytest.mark.parametrize(("pooling", "ranks"), [(PoolingType.RANK, True), (PoolingType.CLS, False)])
def test_weights_that_score_documents_say_so(
    tmp_path: Path, pooling: PoolingType, ranks: bool
) -> None:
    writer = GGUFWriter(tmp_path / "bge.gguf", "bert")
    writer.add_pooling_type(pooling)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    assert [one["ranks"] for one in search.search([str(tmp_path)], []).files] == [ranks]


def test_weights_that_are_a_pipe_are_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.gguf")
    assert gguf_of_weights.header(str(tmp_path / "a.gguf"))["problem"].endswith(
        "it is not a regular file"
    )


def test_one_entry_that_cannot_be_looked_at_hides_no_other(tmp_path: Path) -> None:
    one, below = gguf(tmp_path / "good.gguf"), gguf(tmp_path / "below" / "other.gguf", seed=2)
    (tmp_path / "loop.gguf").symlink_to("loop.gguf")
    (tmp_path / "to.gguf").symlink_to("fro.gguf")
    (tmp_path / "fro.gguf").symlink_to("to.gguf")
    (tmp_path / "pipe").symlink_to("pipe")
    gguf(tmp_path / "\udcff" / "x.gguf", seed=3)
    gguf(tmp_path / "\udcfe.gguf", seed=4)
    found = search.search([str(tmp_path)], [str(tmp_path / "loop.gguf")])
    assert [file["path"] for file in found.files] == [str(below), str(one)]


def test_a_folder_that_ends_while_it_is_read_gives_what_it_gave(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = gguf(tmp_path / "good.gguf")
    whole = os.scandir

    class Breaking:
        """The entries of a folder on a disk that fails after the first."""

        def __init__(self, folder: str) -> None:
            self.entries = whole(folder)

        def __enter__(self) -> Iterator[os.DirEntry[str]]:
            return self.broken()

        def __exit__(self, *_: object) -> None:
            self.entries.close()

        def broken(self) -> Iterator[os.DirEntry[str]]:
            yield next(self.entries)
            raise OSError(errno.EIO, "input/output error")

    monkeypatch.setattr(os, "scandir", Breaking)
    assert [file["path"] for file in search.search([str(tmp_path)], []).files] == [str(one)]
