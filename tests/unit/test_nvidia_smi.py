"""The cards of another machine are told by nvidia-smi there; what it does not say is Unknown."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from reconciler.drivers.access.shared.driver import ExchangeDriver
from reconciler.drivers.gpus import nvidia
from reconciler.model.facts import Fact, Known, UnitIdentity, Unknown
from reconciler.model.gpu import Card, Gpu, Holder
from reconciler.onhost import serve
from reconciler.onhost.nvidia import cards
from reconciler.onhost.problem import HostProblem

if TYPE_CHECKING:
    from pydantic import JsonValue


CARD = """<?xml version="1.0" ?>
<!DOCTYPE nvidia_smi_log SYSTEM "nvsmi_device_v12.dtd">
<nvidia_smi_log>
  <driver_version>550.54.15</driver_version>
  <attached_gpus>2</attached_gpus>
  <gpu id="00000000:01:00.0">
    <product_name>NVIDIA GeForce RTX 3090</product_name>
    <uuid>GPU-1</uuid>
    <fb_memory_usage>
      <total>24576 MiB</total><reserved>316 MiB</reserved>
      <used>1024 MiB</used><free>23236 MiB</free>
    </fb_memory_usage>
    <processes>
      <process_info>
        <pid>7</pid><type>C</type><process_name>/opt/llama-server</process_name>
        <used_memory>512 MiB</used_memory>
      </process_info>
      <process_info>
        <pid>7</pid><type>G</type><process_name>/opt/llama-server</process_name>
        <used_memory>N/A</used_memory>
      </process_info>
      <process_info>
        <pid>9</pid><type>G</type><process_name>Xorg</process_name><used_memory>N/A</used_memory>
      </process_info>
    </processes>
  </gpu>
  <gpu id="0000000F:01:00.0">
    <product_name>NVIDIA GB10</product_name>
    <uuid>GPU-2</uuid>
    <fb_memory_usage>
      <total>N/A</total><reserved>N/A</reserved><used>N/A</used><free>N/A</free>
    </fb_memory_usage>
    <processes></processes>
  </gpu>
</nvidia_smi_log>
"""
"""What `nvidia-smi -q -x` prints, cut down; from its documentation, not recorded from a card."""


class Elsewhere(ExchangeDriver):
    """The access to another machine whose program runs here."""

    def __init__(self, directory: Path) -> None:
        async def exchange(request: dict[str, JsonValue], _: float) -> dict[str, JsonValue]:
            return serve.answer(request, str(directory))

        super().__init__(exchange)

    @property
    def here(self) -> bool:
        return False

    async def changes(self, identity: UnitIdentity) -> AsyncIterator[None]:
        raise NotImplementedError(identity)
        yield


def smi(folder: Path, text: str, code: int = 0) -> None:
    """Put a program into a folder that prints a text and ends with a code."""
    (folder / "said").write_text(text)
    program = folder / "nvidia-smi"
    program.write_text(f"#!/bin/sh\n[ \"$*\" = '-q -x' ] && cat {folder}/said\nexit {code}\n")
    program.chmod(0o755)


async def asked_there(folder: Path, **options: Any) -> Fact[Gpu]:
    def loaded() -> Any:
        pytest.fail("the library of this machine was asked about another one")

    return await nvidia.Driver(nvidia.Options(**options), Elsewhere(folder), loaded).gpu()


async def test_the_cards_of_another_machine_are_asked_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    smi(tmp_path, CARD)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    fact = await asked_there(tmp_path)
    assert isinstance(fact, Known)
    first, second = fact.value.cards
    mib = 1024**2
    server = Holder(pid=7, name="llama-server", bytes=512 * mib)
    desktop = Holder(pid=9, name="Xorg", bytes=None, draws=True)
    assert first == Card(
        index=0,
        name="NVIDIA GeForce RTX 3090",
        uuid="GPU-1",
        total=24576 * mib,
        free=23236 * mib,
        holders=(server, desktop),
    )
    assert (second.index, second.unified) == (1, True)
    assert 0 < second.free < second.total


@pytest.mark.parametrize(
    ("said", "code", "found"),
    [
        (
            "NVIDIA-SMI has failed because it\ncouldn't communicate with the NVIDIA driver.",
            9,
            "failed: NVIDIA-SMI has failed because",
        ),
        ("", 3, "nvidia-smi failed: it ended with 3"),
        ("<nvidia_smi_log>", 0, "what nvidia-smi says cannot be understood: no element found"),
        ("<nvidia_smi_log/>", 0, "nvidia-smi finds no card there"),
        (
            "<a><gpu><processes><process_info><pid>x</pid></process_info></processes></gpu></a>",
            0,
            "cannot be understood: invalid",
        ),
    ],
)
async def test_what_cannot_be_read_there_is_unknown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str, code: int, found: str
) -> None:
    smi(tmp_path, said, code)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    fact = await asked_there(tmp_path)
    assert isinstance(fact, Unknown)
    assert found in fact.reason
    assert "`gpu: none` starts models without checking memory" in fact.reason


async def test_a_machine_without_the_program_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    fact = await asked_there(tmp_path)
    assert isinstance(fact, Unknown)
    assert "there is no nvidia-smi on the PATH there" in fact.reason


def test_a_program_that_hangs_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    smi(tmp_path, "")
    (tmp_path / "nvidia-smi").write_text("#!/bin/sh\nexec sleep 60\n")
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with pytest.raises(HostProblem, match=r"did not answer within 0\.2 s"):
        cards(0.2)
