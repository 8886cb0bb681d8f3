"""The file of keys: made, changed by several, read again, and never half believed."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from reconciler.edge.clock import SystemClock
from reconciler.edge.key_file import KeyFile
from reconciler.errors import Misused, Unreachable, WriteFailed
from reconciler.gateway.head import Refusal
from reconciler.gateway.keys import known, requester
from reconciler.model.access_key import KeyRing
from reconciler.model.key_scope import KeyScope
from reconciler.render.keys_text import keys_text
from reconciler.verbs import key
from reconciler.verbs.key import KeyWords

CLOCK = SystemClock()
OTHER = 1234
INFER: tuple[KeyScope, ...] = ("infer",)


def add(file: KeyFile, name: str, words: KeyWords | None = None) -> str:
    return key.add(file, CLOCK, name, words or KeyWords(INFER)).document.made


def test_a_key_that_was_made_lets_in_until_it_is_removed(tmp_path: Path) -> None:
    path = tmp_path / "data" / "keys.json"
    reader, writer = KeyFile(path), KeyFile(path)
    assert reader.ring() is None
    made = add(writer, "laptop", KeyWords(("infer", "read"), ("tiny",), "30d", 2, 3))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert made.split("_", 2)[2] not in path.read_text()
    ring = reader.ring()
    assert ring is not None
    found = requester(known(ring), [made], CLOCK.wall())
    assert not isinstance(found, Refusal)
    assert (found.name, found.may_use("tiny"), found.may_use("other")) == ("laptop", True, False)
    assert isinstance(requester(known(ring), [made], CLOCK.wall() + 31 * 86400), Refusal)
    add(writer, "phone")
    assert [one.name for one in key.list_(reader).document.keys] == ["laptop", "phone"]
    key.remove(writer, "laptop")
    ring = reader.ring()
    assert ring is not None
    assert isinstance(requester(known(ring), [made], CLOCK.wall()), Refusal)
    key.remove(writer, "phone")
    assert reader.ring() is None, "an empty ring is none"


def test_what_cannot_be_meant_is_said_and_changes_nothing(tmp_path: Path) -> None:
    file = KeyFile(tmp_path / "keys.json")
    add(file, "laptop")
    with pytest.raises(Misused, match="there is a key laptop already; `reconciler key remove"):
        add(file, "laptop")
    with pytest.raises(Misused, match='no key lapto; there are: laptop; did you mean "laptop"'):
        key.remove(file, "lapto")
    with pytest.raises(Misused, match="found My Key, expected a name of lower case letters"):
        add(file, "My Key")
    with pytest.raises(Misused, match="found --expires .*, expected when it ends"):
        add(file, "phone", KeyWords(INFER, expires="soon"))
    assert [one.name for one in key.list_(file).document.keys] == ["laptop"]


def test_a_file_that_is_not_ours_lets_nobody_in(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    path.write_text('{"version": 1, "keys": [{"id": "x"}]}')
    with pytest.raises(Unreachable, match=r"keys\.0\.id is not what .* no request is let in"):
        KeyFile(path).ring()
    path.write_text('{"version": 1, "keys": []}')
    file = KeyFile(path)
    assert file.ring() is None
    path.chmod(0o620)
    with pytest.raises(Unreachable, match="the mode 0620, so others may write it; `chown` it"):
        file.ring()
    path.chmod(0o600)
    assert file.ring() is None
    path.unlink()
    path.mkdir(mode=0o700)
    with pytest.raises(Unreachable, match="directory"):
        KeyFile(path).ring()
    (tmp_path / "a").write_text("")
    with pytest.raises(Unreachable, match="Not a directory"):
        KeyFile(tmp_path / "a" / "keys.json").ring()
    with pytest.raises(WriteFailed, match=r"keys\.lock cannot be opened"):
        KeyFile(tmp_path / "a" / "keys.json").change(lambda ring: ring)


def test_keys_read_as_text(tmp_path: Path) -> None:
    file = KeyFile(tmp_path / "keys.json")
    none = key.list_(file).document.model_dump(mode="json")
    assert keys_text(none).startswith("No keys:")
    made = key.add(file, CLOCK, "laptop", KeyWords(INFER, ("tiny",), "2999-01-01")).document
    first, second = keys_text(made.model_dump(mode="json")).split("\n")
    assert first == made.made
    assert "only now" in second
    text = keys_text(key.list_(file).document.model_dump(mode="json"))
    assert "infer of tiny; 16 at once, 64 waiting, until 29" in text
    key.add(file, CLOCK, "phone", KeyWords(INFER, wake_on_list=True))
    text = keys_text(key.list_(file).document.model_dump(mode="json"))
    assert "64 waiting, wakes by listing" in text
    assert made.made not in text
    assert KeyRing.model_validate_json((tmp_path / "keys.json").read_text()).version == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes files for another user")
def test_what_root_makes_can_be_read_by_whose_folder_it_is(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    os.chown(folder, OTHER, OTHER)
    add(KeyFile(folder / "keys.json"), "laptop")
    assert {(one.stat().st_uid, one.stat().st_gid) for one in folder.iterdir()} == {(OTHER, OTHER)}
    assert KeyFile(folder / "keys.json").ring() is not None
    os.chown(folder / "keys.json", OTHER + 1, OTHER)
    with pytest.raises(Unreachable, match=f"it is of the user {OTHER + 1}"):
        KeyFile(folder / "keys.json").ring()
