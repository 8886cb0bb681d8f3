"""Both files as drafted for machines of all kinds, which can be read and are in tests/drafts."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import pytest

from reconciler.config.source import FileSource
from reconciler.core.onboarding.candidates import candidates
from reconciler.core.onboarding.draft_files import HERE, InitAnswers, Where, draft
from reconciler.drivers import DriverCatalog
from reconciler.drivers.engines.llamacpp import adopted
from reconciler.edge.clock import SystemClock
from reconciler.model.found_container import ContainerFile
from reconciler.model.machine import DeviceNode, FoundCard, Machine
from reconciler.model.origin import Container, Service
from reconciler.model.reason import Reason
from tests.machines import file, lxc, machine, server
from tests.rules.tree import ROOT

if TYPE_CHECKING:
    from pathlib import Path

DRAFTS = ROOT / "tests" / "drafts"

QWEN = file("/home/ann/models/Qwen3-8B-Q4_K_M.gguf")
GEMMA = file("/srv/models/gemma-3-27b-it-Q4_0.gguf", architecture="gemma3", context_length=131072)
BGE = file(
    "/srv/models/bge-m3-F16.gguf",
    architecture="bert",
    size=1024**3,
    context_length=8192,
    kv_bytes_per_token=0,
)
RERANKER = file(
    "/srv/models/bge-reranker-v2-m3-F16.gguf", architecture="bert", context_length=8192, ranks=True
)
MMPROJ = file("/srv/models/mmproj-gemma-3.gguf", architecture="clip", type="mmproj")
CUT = file(
    "/srv/models/cut.gguf",
    problem="the weights /srv/models/cut.gguf cannot be used: its header is cut short",
    size=10,
    context_length=0,
)
CARD = FoundCard(vendor="nvidia", name="NVIDIA H200", memory_bytes=None)
NODE = DeviceNode(path="/dev/nvidia0", usable=True, group="root")
BY_HAND = server(
    flags=("-m", "models/Qwen3-8B-Q4_K_M.gguf", "-c", "16384", "--host", "10.0.0.7", "-ngl", "99"),
    variables=("LLAMA_ARG_FLASH_ATTN",),
)
A_SERVICE = server(
    pid=99, port=8081, user="llama", program="/usr/bin/llama-server",
    service=Service(name="gemma.service", scope="system"),
    flags=("-m", GEMMA.path, "-a", "Gemma 3", "-np", "4", "--slot-save-path", "/srv/slots"),
)  # fmt: skip

IN_LXC = Container(runtime="LXC", name="web")
IN_CT = Container(runtime="Proxmox VE", name="101")


class Case(NamedTuple):
    """A machine, what was answered, and what is known of its accelerators' memory."""

    machine: Machine
    answers: InitAnswers = InitAnswers()
    gpu_problem: str = ""
    where: Where = HERE


CASES = {
    "nothing": Case(machine()),
    "one_started_by_hand": Case(
        machine(servers=(BY_HAND,), weights=(QWEN, GEMMA), programs=("/opt/llama/llama-server",))
    ),
    "two_side_by_side": Case(machine(servers=(BY_HAND, A_SERVICE), weights=(QWEN, GEMMA, MMPROJ))),
    "another_machine": Case(
        machine(servers=(BY_HAND,), weights=(QWEN,), programs=("/opt/llama/llama-server",)),
        where=Where("gpu-box", {"address": "gpu-box.lan", "user": "llm"}),
    ),
    "weights_alone": Case(
        machine(
            weights=(QWEN, GEMMA, BGE, RERANKER, CUT),
            cards=(CARD,),
            nodes=(NODE,),
            programs=("/usr/bin/llama-server", "/opt/b"),
        )
    ),
    "weights_and_answers": Case(
        machine(weights=(QWEN,)), InitAnswers(("qwen3-8b",), "/opt/my llama/llama-server")
    ),
    "memory_that_cannot_be_read": Case(
        machine(
            weights=(QWEN,), nodes=(NODE,), cut="the search for GGUF files ended after 200 files"
        ),
        gpu_problem="found /dev/nvidia0, whose memory cannot be read yet",
    ),
    "a_server_of_unseen_weights": Case(
        machine(servers=(server(flags=("--models-dir", "/srv/models")),), weights=(GEMMA,))
    ),
    "in_containers": Case(
        machine(
            user="root",
            weights=(QWEN, GEMMA),
            servers=(
                server(
                    container=Container(
                        runtime="docker", name="q", service=Service(name="q.service", scope="user")
                    ),
                    program="",
                    directory="",
                    mapped=(QWEN.path,),
                    flags=(
                        "-m",
                        "/models/q.gguf",
                        "-c",
                        "4096",
                        "--jinja",
                        "--slot-save-path",
                        "/slots",
                        "--api-key-file",
                        "/run/key",
                    ),
                ),
                server(
                    pid=813,
                    container=Container(runtime="Kubernetes"),
                    program="",
                    mapped=("/data/unseen.gguf",),
                ),
            ),
        )
    ),
    "in_containers_of_lxc": Case(
        machine(
            user="root",
            weights=(GEMMA,),
            servers=(
                server(container=IN_LXC, program="", flags=("-m", "/m/g.gguf", "-c", "4096")),
                server(
                    pid=813,
                    port=8000,
                    container=IN_CT,
                    program="",
                    mapped=("/opt/q.gguf",),
                    flags=("-hf", "a/q", "-a", "qwen"),
                ),
            ),
            lxcs=(
                lxc(
                    whole=False,
                    boots=Reason(
                        "container web is started at boot",
                        "`lxc.start.auto = 0` in /var/lib/lxc/web/config, written while it is"
                        " stopped",
                    ),
                    files=(ContainerFile(inside="/m/g.gguf", outside=GEMMA.path),),
                ),
                lxc(
                    pid=813,
                    kind="pct",
                    name="101",
                    service="llama.service",
                    network="own",
                    boots=Reason(
                        "CT 101 is started at boot, and llama.service with it where it is enabled"
                        " there",
                        "`lxc-attach -n 101 -- systemctl disable llama.service`",
                    ),
                    files=(ContainerFile(inside="/opt/q.gguf", outside=""),),
                ),
            ),
        )
    ),
    "a_container_of_unseen_weights": Case(
        machine(servers=(server(container=Container(runtime="docker", name="q"), program=""),))
    ),
    "on_a_unix_socket": Case(
        machine(
            servers=(
                server(
                    socket="/run/llama.sock",
                    flags=("-m", QWEN.path, "--host", "/run/llama.sock", "--api-key-file=keys"),
                ),
            ),
            weights=(QWEN,),
        )
    ),
    "a_unit_of_ours": Case(machine(servers=(server(model="mine"),))),
}


def drafted(name: str) -> dict[str, str]:
    case = CASES[name]
    found = candidates(case.machine, {one.pid: adopted(one) for one in case.machine.servers})
    texts = draft(case.machine, found, case.answers, case.gpu_problem, case.where)
    return {"desired": texts.desired, "inventory": texts.inventory}


@pytest.mark.parametrize("name", CASES)
def test_a_machine_is_drafted_as_the_golden_files_say(name: str) -> None:
    assert drafted(name) == {
        part: (DRAFTS / f"{name}.{part}.yaml").read_text(encoding="utf-8")
        for part in ("desired", "inventory")
    }


@pytest.mark.parametrize("name", CASES)
def test_what_is_drafted_can_be_read(name: str, tmp_path: Path) -> None:
    for part, text in drafted(name).items():
        (tmp_path / f"{part}.yaml").write_text(text)
    (slice_,) = FileSource(tmp_path, DriverCatalog("", SystemClock())).read().slices.values()
    assert slice_.models


@pytest.mark.parametrize(
    "path",
    ["/srv/a b/x.gguf", "/srv/#1.gguf", '/srv/it\'s: "this".gguf', "/srv/模型.gguf", "/srv/1.gguf"],
)
def test_every_path_is_read_back_as_it_is(path: str, tmp_path: Path) -> None:
    texts = draft(
        machine(weights=(file(path),)),
        candidates(machine(weights=(file(path),)), {}),
        InitAnswers(),
        "",
    )
    (tmp_path / "desired.yaml").write_text(texts.desired)
    (tmp_path / "inventory.yaml").write_text(texts.inventory)
    (slice_,) = FileSource(tmp_path, DriverCatalog("", SystemClock())).read().slices.values()
    assert slice_.models[0].engine.options["weights"] == path


def test_an_instance_of_a_template_is_written_so_that_its_name_is_read_back(tmp_path: Path) -> None:
    name = "llama@my\\x2dmodel.service"
    seen = machine(
        servers=(server(flags=("-m", QWEN.path), service=Service(name=name, scope="system")),),
        weights=(QWEN,),
    )
    texts = draft(
        seen, candidates(seen, {one.pid: adopted(one) for one in seen.servers}), InitAnswers(), ""
    )
    for part, text in texts._asdict().items():
        (tmp_path / f"{part}.yaml").write_text(text)
    (slice_,) = FileSource(tmp_path, DriverCatalog("", SystemClock())).read().slices.values()
    assert slice_.models[0].launcher.options["unit"] == name


ARGS = (
    *(
        "-ot",
        r"blk\.(1[0-9]|2[0-9])\.ffn_.*_exps\.=CPU, output=CPU",
        "--temp",
        "-0.5",
        "-fa",
        "on",
        "-l",
        "<<",
        "-r",
        "# x: y",
    ),
    *(
        "--chat-template-kwargs",
        '{"note": "it\'s {{ x }}"}',
        "--reverse-prompt",
        "\u6a21\n\u578b",
        "--grammar",
        "",
        "-b",
        "0x10",
    ),
)


def test_every_word_of_a_server_is_written_so_that_it_is_read_back(tmp_path: Path) -> None:
    seen = machine(servers=(server(flags=("-m", QWEN.path, *ARGS)),), weights=(QWEN,))
    texts = draft(
        seen, candidates(seen, {one.pid: adopted(one) for one in seen.servers}), InitAnswers(), ""
    )
    for part, text in texts._asdict().items():
        (tmp_path / f"{part}.yaml").write_text(text)
    (slice_,) = FileSource(tmp_path, DriverCatalog("", SystemClock())).read().slices.values()
    assert slice_.models[0].command.argv[-len(ARGS) :] == ARGS


def test_there_is_no_golden_file_without_its_machine() -> None:
    assert {path.name.partition(".")[0] for path in DRAFTS.iterdir()} == set(CASES)


def test_a_server_that_called_itself_otherwise_is_told_what_clients_will_see() -> None:
    seen = machine(servers=(server(flags=("-m", QWEN.path, "-a", "My Qwen")),), weights=(QWEN,))
    found = candidates(seen, {one.pid: adopted(one) for one in seen.servers})
    said = " ".join(draft(seen, found, InitAnswers(), "").inventory.replace("#", " ").split())
    assert (
        'It called itself "My Qwen"; from now on the name that clients see is the one below.'
        in said
    )


def test_only_a_service_of_the_system_is_said_to_need_permission() -> None:
    service = Service(name="qwen.service", scope="user")
    seen = machine(servers=(server(flags=("-m", QWEN.path), service=service),), weights=(QWEN,))
    found = candidates(seen, {one.pid: adopted(one) for one in seen.servers})
    inventory = draft(seen, found, InitAnswers(), "").inventory
    assert "qwen.service keeps running as it is" in inventory
    assert "must be allowed" not in inventory
