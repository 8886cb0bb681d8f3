"""An engine that exists already keeps its conversations, by what its own command line says."""

from __future__ import annotations

import os
import shlex
import sys
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any

import pytest

from reconciler.drivers.access.shared.within import Within
from reconciler.drivers.engines import embedded, llamacpp
from reconciler.drivers.launchers import docker as docker_launcher
from reconciler.drivers.launchers import lxc as lxc_launcher
from reconciler.drivers.launchers import pct as pct_launcher
from reconciler.drivers.launchers import systemd as systemd_launcher
from reconciler.edge.interpreter import Interpreter
from reconciler.model.facts import Unit, Weights
from reconciler.model.place import Inside
from reconciler.model.spec import Kind
from reconciler.onhost import bundle
from reconciler.onhost.serve import answer
from tests.contracts.hosts import here
from tests.contracts.places import inside
from tests.engine import SERVERS, Server, free_port, weights_in
from tests.lxcs import MAPPED, Lxc
from tests.rig import Rig, spec, units_of, value
from tests.running import ok
from tests.sample_worlds import marked
from tests.slot_files import TOKENS, sidecar, slot_content

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from reconciler.model.given_command import GivenCommand
    from tests.booted import Booted
    from tests.dockers import Dockerd
    from tests.pcts import Pct

LXC = {"lxc": lxc_launcher.Driver, "pct": pct_launcher.Driver}


@dataclass(frozen=True)
class GivenRig(Rig):
    """A model whose unit exists already, and whose command line is written anew by `define`."""

    make: Any
    argv: tuple[str, ...]

    @property
    def folders(self) -> set[str]:
        """Name the folder of its conversations, as its command line does."""
        return {word for word in self.argv if word.endswith("/theirs")}

    def define(self, *words: str, without: Sequence[str] = ()) -> None:
        """Give it this command line: what it has in the beginning without some, and more words."""
        self.make([word for word in self.argv if word not in without] + [*words])

    async def start(self) -> Unit:
        await self.launcher.start(self.model, marked(self.model))
        return await self.look()

    async def look(self, *_: object) -> Unit:
        (unit,) = units_of(await self.launcher.units())
        return unit

    async def words(self) -> tuple[str, ...]:
        launcher: Any = self.launcher
        read: GivenCommand = value(await launcher.command(self.model))
        return read.words

    async def weights(self) -> Weights:
        found: Weights = value(await self.engine.weights())
        return found


def argv_of(weights: str, slots: str, port: int) -> tuple[str, ...]:
    return embedded.command(embedded.Options(weights=weights, slots=slots), "theirs", port).argv


@pytest.fixture
async def container(docker: Dockerd, tmp_path: Path) -> AsyncIterator[GivenRig]:
    """Give a model that has its weights at /models and its conversations at /kv."""
    weights = weights_in(tmp_path)
    (tmp_path / "kept" / "theirs").mkdir(parents=True)
    port = free_port()
    argv = argv_of(f"/models/{weights.name}", "/kv", port)
    kind = Kind(kind="docker", options={"container": "glm", "socket": docker.socket})
    model = spec(embedded.command(embedded.Options(seed=1), "m", port), port)
    model = model.model_copy(update={"launcher": kind})
    access = here(tmp_path)
    launcher = docker_launcher.Driver(access, [model])
    reached: Any = Within(access, Inside(kind="docker", name="glm", socket=docker.socket))
    engine: Any = embedded.given(
        embedded.Options(weights=f"/models/{weights.name}"),
        model,
        reached,
        launcher.command,
        time.time,
    )

    def make(words: Sequence[str]) -> None:
        docker.create("glm", words, tmp_path, [f"{tmp_path}:/models:ro", f"{tmp_path}/kept:/kv"])

    rig = GivenRig(model, access, launcher, engine, tmp_path, make, argv)
    rig.define()
    yield rig
    docker.remove("glm")


@pytest.fixture
async def service(booted: Booted, tmp_path: Path) -> AsyncIterator[GivenRig]:
    weights = weights_in(tmp_path)
    (tmp_path / "kept" / "theirs").mkdir(parents=True)
    port = free_port()
    argv = argv_of(str(weights), str(tmp_path / "kept"), port)
    model = spec(embedded.command(embedded.Options(seed=1), "m", port), port)
    model = model.model_copy(update={"launcher": Kind(kind="systemd", options={})})
    entered = [*booted.entering, sys.executable, "-I", "-S", "-c", bundle.BOOTSTRAP]
    file = "/run/systemd/system/m.service"

    def make(words: Sequence[str]) -> None:
        booted.write(file, f"[Service]\nExecStart={shlex.join(words)}\n")
        booted.run("systemctl", "daemon-reload")

    async with Interpreter(entered, bundle.framed(str(tmp_path)), bundle.HELLO) as interpreter:
        access = here(tmp_path, interpreter.exchange)
        launcher = systemd_launcher.Driver(access, [model])
        engine: Any = embedded.given(
            embedded.Options(weights=str(weights)), model, access, launcher.command, time.time
        )
        rig = GivenRig(model, access, launcher, engine, tmp_path, make, argv)
        rig.define()
        yield rig
    booted.path(file).unlink()


@pytest.fixture
async def lxc_container(lxc: Lxc, tmp_path: Path) -> AsyncIterator[GivenRig]:
    async with lxc_rig(lxc, tmp_path) as rig:
        yield rig


@pytest.fixture
async def proxmox(pct: Pct, tmp_path: Path) -> AsyncIterator[GivenRig]:
    async with lxc_rig(pct, tmp_path) as rig:
        yield rig


@pytest.fixture
async def unprivileged(lxc: Lxc, tmp_path: Path) -> AsyncIterator[GivenRig]:
    async with lxc_rig(lxc, tmp_path, **MAPPED) as rig:
        lxc.map_users(tmp_path / "kept")
        yield rig


@asynccontextmanager
async def lxc_rig(lxc: Lxc, tmp_path: Path, **settings: str) -> AsyncIterator[GivenRig]:
    """Give a model that has its weights at /models and its conversations at /kv."""
    weights = weights_in(tmp_path)
    (tmp_path / "kept" / "theirs").mkdir(parents=True)
    port, name = free_port(), lxc.name("m")
    argv = argv_of(f"/models/{weights.name}", "/kv", port)
    model = spec(embedded.command(embedded.Options(seed=1), "m", port), port)
    model = model.model_copy(update={"launcher": lxc.launcher("m")})

    def make(words: Sequence[str]) -> None:
        mounts = [f"{tmp_path}:/models", f"{tmp_path}/kept:/kv"]
        lxc.create(name, words, tmp_path, mounts, **settings)

    async with inside(lxc.booted, tmp_path) as access:
        launcher = LXC[lxc.kind](access, [model])
        reached: Any = Within(access, Inside(kind=lxc.kind, name=name))
        options = embedded.Options(weights=f"/models/{weights.name}")
        engine: Any = embedded.given(options, model, reached, launcher.command, time.time)
        rig = GivenRig(model, access, launcher, engine, tmp_path, make, argv)
        rig.define()
        yield rig
    lxc.remove(name)


@pytest.fixture(params=["container", "service", "lxc_container", "proxmox", "unprivileged"])
def model(request: pytest.FixtureRequest) -> GivenRig:
    made: GivenRig = request.getfixturevalue(request.param)
    return made


async def test_a_conversation_survives_a_restart(model: GivenRig) -> None:
    before = await model.weights()
    assert (before.exists, before.keepable, before.problem) == (True, True, "")
    expected = value(await model.engine.fingerprint()).digest
    async with model.running() as unit:
        said = await model.converse()
        assert value(await model.engine.fingerprint()).digest == expected
        assert (await model.save(await model.look(unit)))["failed"] == []
    assert list((model.directory / "kept" / "theirs").glob("*.slot.json"))
    async with model.running() as unit:
        evidence = await model.restore(await model.look(unit))
        assert [slot["outcome"] for slot in evidence["slots"]] == ["proven"]
        again = await model.converse()
        assert (again["content"], again["timings"]["prompt_n"]) == (said["content"], 1)


async def test_what_loses_conversations_is_named_with_what_to_add(model: GivenRig) -> None:
    model.define(without=["--cache-ram", "0", "--slot-save-path", *model.folders])
    found = await model.weights()
    assert not found.keepable
    words = "--slot-save-path /FOLDER --cache-ram 0"
    assert found.unkept == f"its command line has no `{words}`"
    assert found.remedy.endswith(f"{words}`")
    assert value(await model.engine.saved()).slots == ()


async def test_a_folder_that_is_not_there_is_named(model: GivenRig) -> None:
    (model.directory / "kept" / "theirs").rmdir()
    found = await model.weights()
    assert (found.keepable, "theirs cannot be read: there is no" in found.unkept) == (False, True)


async def test_another_program_is_not_taken_for_an_engine(model: GivenRig) -> None:
    model.make(["/bin/sh", "-c", "exec llama-server -m /x"])
    found = await model.weights()
    assert (found.keepable, found.exists, found.problem) == (False, True, "")
    assert found.unkept.startswith("it runs `/bin/sh -c ...`, of which the flags of server.py are")


async def test_other_weights_than_the_inventory_names_are_named_before_a_start(
    model: GivenRig,
) -> None:
    claimed = next(word for word in model.argv if word.endswith(".gguf"))
    folder, _, name = claimed.rpartition("/")
    weights = model.directory / name
    other = weights_in(model.directory, seed=2)
    (model.directory / "link.gguf").symlink_to(name)
    model.define("--model", f"{folder}/link.gguf")
    assert (await model.weights()).problem == ""
    model.define("--model", f"{folder}/{other.name}")
    said = (
        f"inventory.yaml says `weights: {claimed}`, and its command line loads"
        f" {folder}/{other.name}: correct one of them"
    )
    assert (await model.weights()).problem == said
    weights.unlink()
    assert (await model.weights()).problem == said


async def test_what_a_container_does_not_share_with_its_host_is_not_kept(
    container: GivenRig,
) -> None:
    container.define(*["--slot-save-path", "/elsewhere"])
    found = await container.weights()
    assert (found.exists, found.unkept) == (True, "/elsewhere lies inside the container")
    container.define(*["--model", "/app/w.gguf"])
    found = await container.weights()
    assert "/app/w.gguf is neither in the container nor mounted from" in found.problem
    container.define(*["--model", "/etc/hostname"])
    found = await container.weights()
    assert (found.exists, found.problem) == (False, "")
    assert found.unkept == "/etc/hostname lies inside the container"
    assert value(await container.engine.fingerprint()).digest == ""


async def test_variables_of_a_service_are_read_as_systemd_would(
    service: GivenRig, booted: Booted
) -> None:
    """Those of its files too; a variable alone is several words, and `$$` is a dollar."""
    environment = service.directory / "llm.env"
    environment.write_text(
        '# mine\nMORE="--cache-ram 0"\nLLAMA_ARG_CTX_SIZE=2048\n'
        'ODD=--alias "a model" --alias \'it"s\'\n'
        'HOME="/in\\"side" \'and\nmore\'\n'
    )
    dropped = ["--cache-ram", "0", "--ctx-size", "4096"]
    kept = [word for word in service.argv if word not in dropped]
    lines = [
        f"ExecStart={shlex.join(kept)} $MORE $ODD --alias ${{HOME}} $GONE $ --alias a$$b",
        f"EnvironmentFile={environment}",
        "Environment=LLAMA_ARG_CACHE_TYPE_K=q8_0 GONE=1",
        "UnsetEnvironment=GONE",
        "User=root",
    ]
    booted.write("/run/systemd/system/m.service", "\n".join(["[Service]", *lines, ""]))
    booted.run("systemctl", "daemon-reload")
    found = await service.weights()
    assert (found.keepable, found.context) == (True, 2048)
    words = await service.words()
    aliases = ["a model", 'it"s', '/in"sideand\nmore', "a$b"]
    assert words[-10:] == ("--cache-ram", "0", *chain(*(("--alias", one) for one in aliases)))
    async with service.running():
        assert await service.words() == words


async def test_slot_files_of_another_account_come_back_too(
    container: GivenRig, docker: Dockerd
) -> None:
    """The engine is nobody, and its files stay nobody's."""
    container.directory.chmod(0o755)
    kept = container.directory / "kept"
    os.chown(kept / "theirs", 65534, 65534)
    mounts = [f"{container.directory}:/models:ro", f"{kept}:/kv"]
    docker.create("glm", container.argv, container.directory, mounts, user="65534:65534")
    async with container.running() as unit:
        await container.converse()
        assert (await container.save(await container.look(unit)))["failed"] == []
    (file,) = (path for path in (kept / "theirs").iterdir() if path.suffix != ".json")
    assert (file.stat().st_uid, file.stat().st_mode & 0o777) == (65534, 0o600)
    async with container.running() as unit:
        evidence = await container.restore(await container.look(unit))
        assert [slot["outcome"] for slot in evidence["slots"]] == ["proven"]


async def test_a_folder_that_it_may_only_read_keeps_no_conversation(
    container: GivenRig, docker: Dockerd
) -> None:
    kept = container.directory / "kept"
    mounts = [f"{container.directory}:/models:ro", f"{kept}:/kv:ro"]
    docker.create("glm", container.argv, container.directory, mounts)
    found = await container.weights()
    assert (found.keepable, found.unkept, found.remedy) == (
        False,
        "/kv/theirs is read-only in the container",
        "mount it without `:ro`",
    )
    docker.create(
        "glm", container.argv, container.directory, [*mounts, f"{kept}/theirs:/kv/theirs"]
    )
    assert (await container.weights()).keepable


async def test_a_folder_that_its_account_may_not_write_into_is_named_with_what_lets_it(
    container: GivenRig, docker: Dockerd
) -> None:
    container.directory.chmod(0o755)
    kept = container.directory / "kept"
    mounts = [f"{container.directory}:/models:ro", f"{kept}:/kv"]
    docker.create("glm", container.argv, container.directory, mounts, user="65534:65534")
    async with container.running():
        found = await container.weights()
        folder = f"{kept}/theirs"
        assert (found.keepable, found.unkept, found.remedy) == (
            False,
            f"{folder} cannot be written by user 65534, as whom it runs",
            f"`chown 65534 {folder}` lets it",
        )
        os.chown(folder, 65534, 65534)
        assert (await container.weights()).keepable


@pytest.mark.parametrize("server", SERVERS[1:], ids=str)
async def test_a_conversation_of_an_upstream_server_survives_a_restart(
    service: GivenRig, server: Server
) -> None:
    flags = service.argv[service.argv.index("--model") :]
    real = GivenRig(**{**vars(service), "argv": (*server.program, *flags)})
    options = llamacpp.Options(binary=server.binary)
    launcher: Any = real.launcher
    given: Any = llamacpp.given(options, real.model, real.access, launcher.command, time.time)
    real = GivenRig(**{**vars(real), "engine": given})
    real.define()
    assert (await real.weights()).keepable
    async with real.running() as unit:
        await real.converse()
        assert (await real.save(await real.look(unit)))["failed"] == []
    async with real.running() as unit:
        evidence = await real.restore(await real.look(unit))
        assert [slot["outcome"] for slot in evidence["slots"]] == ["proven"]
        assert (await real.converse())["timings"]["prompt_n"] == 1


async def test_models_that_save_into_one_folder_keep_what_the_others_saved(
    container: GivenRig,
) -> None:
    folder = container.directory / "kept" / "theirs"
    content = slot_content(TOKENS)
    others = {f"v1:sha256:{letter * 8}": f"{letter}.kv" for letter in "ab"}
    for fingerprint, file in others.items():
        (folder / f"{file}.tmp").write_bytes(content)
        sealed = {
            "do": "seal", "directory": str(folder), "temporary": f"{file}.tmp", "file": file,
            "size": len(content), "sidecar": sidecar(fingerprint=fingerprint), "shared": True,
        }  # fmt: skip
        ok(answer(sealed, "/"))
    writing = folder / "other.kv.tmp"
    writing.write_bytes(content)
    async with container.running() as unit:
        await container.converse()
        assert (await container.save(unit))["failed"] == []
    assert writing.exists()
    assert {*others.values()} <= {path.name for path in folder.iterdir()}
