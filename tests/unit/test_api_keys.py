"""Keys over the control API: made, told, removed, and not made for what is not there."""

from __future__ import annotations

from http import HTTPStatus
from pathlib import Path

import pytest

from reconciler.errors import ConfigError
from reconciler.gateway import doorkeeper
from reconciler.render.keys_text import keys_text
from tests.unit.test_api import V1, folder, standing, tidy

__all__ = ("folder", "tidy")


async def test_keys_are_made_told_and_removed(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doorkeeper, "KEYS_SECONDS", 0.0)
    async with standing(folder, "keyed") as api:
        made = await api.local.post(f"{V1}/keys", json={"name": "ops", "scopes": ["operate"]})
        bearer = {"Authorization": f"Bearer {made.json()['made']}"}
        assert [one["name"] for one in (await api.get("/keys"))["keys"]] == ["ops"]
        assert (await api.tcp.get(f"{V1}/version")).status_code == HTTPStatus.UNAUTHORIZED
        assert (await api.tcp.get(f"{V1}/version", headers=bearer)).status_code == HTTPStatus.OK
        pruned = await api.tcp.post(f"{V1}/apply", json={"prune": True}, headers=bearer)
        assert pruned.status_code == HTTPStatus.CONFLICT
        assert "scope admin" in pruned.text
        assert (await api.local.delete(f"{V1}/keys/ops")).status_code == HTTPStatus.OK
        assert (await api.get("/keys"))["keys"] == []


async def test_a_key_for_a_model_that_no_file_names_is_not_made(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with standing(folder, "misspelt") as api:
        asked = {"name": "guest", "models": ["tiny-a", "tiny-q"]}
        refused = await api.local.post(f"{V1}/keys", json=asked)
        assert refused.status_code == HTTPStatus.BAD_REQUEST
        assert (
            "no managed host has a model tiny-q; they have: tiny-a, tiny-b; did you mean"
            in refused.text
        )
        assert (await api.get("/keys"))["keys"] == []

        def unreadable() -> None:
            raise ConfigError("line 3 is wrong")

        monkeypatch.setattr(api.app.source, "read", unreadable)
        made = (await api.local.post(f"{V1}/keys", json=asked)).json()
        assert made["note"] == "whether there is tiny-a, tiny-q could not be seen: line 3 is wrong"
        assert made["note"] in keys_text(made)
        plain = (await api.local.post(f"{V1}/keys", json={"name": "any"})).json()
        assert (plain["note"], "Note" in keys_text(plain)) == ("", False)
