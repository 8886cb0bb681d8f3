"""The systemd services of a host that run an engine or what starts one, whether they run or not."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from reconciler.onhost import (
    found_containers,
    given,
    properties,
    servers,
    service_container,
    systemctl,
    systemd,
)
from reconciler.onhost.places import Place
from reconciler.onhost.problem import HostProblem

if TYPE_CHECKING:
    from reconciler.onhost.properties import State

SERVICES_LIMIT = 1000
_PROPERTIES = ("Id", "ExecStart", "FragmentPath", "StandardOutput", "ActiveState")
_PROGRAMS = {"llama-server": "llama-server", "llama-swap": "llama-swap", "vllm": "vllm"}
_TRANSIENT = "/run/systemd/transient/"
_ENGINES = ("llama-server", "llama.cpp", "vllm")
_FILES = ("file:", "append:", "truncate:")
_PLAIN = ("--plain", "--no-legend", "--no-pager", "--type=service")

Found = dict[str, Any]


def services(_: dict[str, Any], __: str) -> dict[str, Any]:
    """Answer every such service of the system and of this account."""
    asked = {scope: _asked(scope) for scope in ("system", "user")}
    listed = {scope: names for scope, (names, _) in asked.items()}
    found = [one for scope, names in listed.items() for one in _of_scope(names, scope)]
    templates = [name for names in listed.values() for name in _unused(names)]
    # An account need not have a systemd of its own.
    return {"services": found, "templates": templates, "unseen": asked["system"][1]}


def _asked(scope: str) -> tuple[list[str], str]:
    """List the names of the services, with why they are not known where systemd does not say."""
    try:
        return _listed(scope), ""
    except HostProblem as problem:
        return [], str(problem)


def _listed(scope: str) -> list[str]:
    """List the names of the services that systemd has or could load; raise HostProblem."""
    ways = (["list-unit-files"], ["list-units", "--all"])
    texts = [systemctl.run(["systemctl", f"--{scope}", *way, *_PLAIN], scope) for way in ways]
    names = (line.split()[0] for text in texts for line in text.splitlines() if line.strip())
    return list(dict.fromkeys(name for name in names if name.endswith(".service")))


def _is_template(name: str) -> bool:
    return name.endswith("@.service")


def _unused(names: list[str]) -> list[str]:
    """List the templates of an engine that no instance was made of."""
    used = {f"{name.partition('@')[0]}@.service" for name in names if not _is_template(name)}
    unused = [name for name in names if _is_template(name) and name not in used]
    # What a template runs is only known of an instance; its name mostly says it.
    return [name for name in unused if name.startswith(("llama", "llm", "vllm"))]


def _of_scope(names: list[str], scope: str) -> list[Found]:
    loaded = [name for name in names if not _is_template(name)][:SERVICES_LIMIT]
    # A service is listed by each of its names.
    states = {state["Id"]: state for state in systemctl.states(loaded, scope, _PROPERTIES)}
    return [one for state in states.values() if (one := _service(state, scope))]


def _service(state: State, scope: str) -> Found | None:
    """Describe a service that runs an engine, None for any other."""
    runs = _runs(state)
    # What was made for one start is gone after it: those of reconciler itself, and of systemd-run.
    if not runs or state["FragmentPath"].startswith(_TRANSIENT):
        return None
    told = _TOLD.get(runs)
    words = told(state["Id"], scope) if told else {}
    output = state["StandardOutput"]
    return {
        "service": {"name": state["Id"], "scope": scope},
        "runs": runs,
        "running": state["ActiveState"] not in systemd.OVER,
        "expands": "$" in state["ExecStart"].partition("argv[]=")[2].partition(" ; ")[0],
        "file": state["FragmentPath"],
        "log": output.partition(":")[2] if output.startswith(_FILES) else "",
        **words,
    }


def _runs(state: State) -> str:
    program = os.path.basename(properties.program(state))
    name = next((told for word, told in _PROGRAMS.items() if program.startswith(word)), "")
    is_client = service_container.is_client(program) and any(
        word in state["ExecStart"] for word in _ENGINES
    )
    return "a container" if is_client else name


def _words(name: str, scope: str) -> Found:
    """Tell the flags of a service, or why they are not known."""
    try:
        told = given.of_service({"name": name, "scope": scope}, "")
    except HostProblem as problem:
        return {"problem": str(problem)}
    program = servers.program_of(told.get("words", []), {})
    flags = servers.without_secrets(program.flags) if program else []
    return {
        "flags": flags,
        "variables": _without_secrets(told.get("variables", {})),
        "problem": told.get("problem", ""),
    }


def _made(name: str, scope: str) -> Found:
    """Tell the flags of the container that a service makes, or why they are not known."""
    try:
        made = service_container.of_service(name, scope)
    except HostProblem as problem:
        return {"problem": str(problem)}
    program = servers.program_of(made.words, {})
    if program is None:
        return {"problem": "its program is no llama-server"}
    flags = servers.without_secrets(program.flags)
    return {
        "flags": flags,
        "variables": _without_secrets(made.flags),
        "apart": made.apart,
        "files": found_containers.files(flags, Place(name, made.mounts, made.image)),
    }


def _without_secrets(variables: dict[str, str]) -> dict[str, str]:
    return {name: "(hidden)" if "KEY" in name else value for name, value in variables.items()}


_TOLD = {"llama-server": _words, "a container": _made}
"""What tells the flags of a service, by what it runs."""
