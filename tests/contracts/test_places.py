"""An engine in a container that has other paths than its host keeps its conversations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio

from reconciler.drivers.access.shared.within import Within
from reconciler.drivers.engines import embedded
from reconciler.drivers.launchers import docker as launcher
from reconciler.model.facts import Known, Unit
from reconciler.model.place import Inside
from reconciler.model.spec import Kind
from tests import running
from tests.contracts.hosts import here
from tests.engine import weights_in
from tests.rig import Rig, rig, value
from tests.sample_worlds import marked

if TYPE_CHECKING:
    from pathlib import Path

    from tests.dockers import Dockerd


class InContainer(Rig):
    """A model whose container exists already."""

    async def start(self) -> Unit:
        await self.launcher.start(self.model, marked(self.model))
        return await self.look()

    async def look(self, *_: object) -> Unit:
        seen = await self.launcher.units()
        assert isinstance(seen, Known)
        (unit,) = seen.value
        return unit


def container(docker: Dockerd, folder: Path) -> InContainer:
    """Define a model that has its weights at /models and its conversations at /kv."""
    weights = weights_in(folder)
    (folder / "kept" / "m").mkdir(parents=True)
    paths: Any = {"weights": f"/models/{weights.name}", "slots": "/kv"}
    made = rig(folder, **paths)
    mounts = [f"{folder}:/models:ro", f"{folder}/kept:/kv"]
    docker.create("glm", made.model.command.argv, folder, mounts)
    kind = Kind(kind="docker", options={"container": "glm", "socket": docker.socket})
    model = made.model.model_copy(update={"launcher": kind})
    access = here(folder)
    reached: Any = Within(access, Inside(kind="docker", name="glm", socket=docker.socket))
    engine = embedded.Driver(embedded.Options(**paths), model, reached, made.engine._wall)
    return InContainer(model, access, launcher.Driver(access, [model]), engine, folder)


async def test_a_conversation_in_a_container_survives_a_restart(
    docker: Dockerd, tmp_path: Path
) -> None:
    with anyio.fail_after(running.DEADLINE):
        model = container(docker, tmp_path)
        assert value(await model.engine.weights()).exists, "its mounts are known before it runs"
        async with model.running():
            said = await model.converse()
            assert (await model.save(await model.look()))["failed"] == []
        assert list((tmp_path / "kept" / "m").iterdir())
        async with model.running():
            evidence = await model.restore(await model.look())
            assert [slot["outcome"] for slot in evidence["slots"]] == ["proven"]
            again = await model.converse()
            assert (again["content"], again["timings"]["prompt_n"]) == (said["content"], 1)
    docker.remove("glm")
