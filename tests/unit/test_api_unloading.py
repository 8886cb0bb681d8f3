"""GET /unload lets go of models where the inventory says so, as llama-swap has it."""

from __future__ import annotations

from http import HTTPStatus
from pathlib import Path

from reconciler.model.leasing import Leased
from tests.unit.test_api import digest, folder, standing, tidy

__all__ = ("folder", "tidy")


async def test_get_unload_lets_go_only_where_that_is_written(folder: Path) -> None:
    async with standing(folder, "swapping") as api:
        lease = Leased(host="local", model="tiny-b", wanted=digest(api.app))
        await api.app.journal.append(lease)
        refused = await api.local.get("/unload")
        assert refused.status_code == HTTPStatus.BAD_REQUEST
        assert "write `compat: get_unload` under `gateway:`" in refused.text
        assert await api.rows("released") == []
        inventory = folder / "state" / "inventory.yaml"
        before = inventory.read_text()
        inventory.write_text(before + "gateway: {compat: get_unload}\n")
        assert (await api.tcp.get("/unload")).status_code == HTTPStatus.FORBIDDEN
        assert await api.rows("released") == []
        assert (await api.local.get("/unload")).json() == {"success": True}
        assert len(await api.rows("released")) == 1
        inventory.write_text(before + "gateway: {compat: all}\n")
        wrong = await api.local.get("/unload")
        assert wrong.status_code == HTTPStatus.UNPROCESSABLE_ENTITY
        assert "expected get_unload" in wrong.text
        inventory.write_text(before)
