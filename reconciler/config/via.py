"""Via: hosts that others are reached or powered through, and what speaks against one."""

from __future__ import annotations

from collections.abc import Mapping

from reconciler.model.problem import found, nearest, one_of
from reconciler.model.spec import Kind, Via


def relay(name: str, via: object, accesses: Mapping[str, Kind]) -> Via | str:
    """Find the host that `via` names in the definition of another, or why it cannot be one."""
    others = [other for other in accesses if other != name]
    if not isinstance(via, str) or via not in others:
        known = f"another host of the inventory ({one_of(others)})"
        expected = known if others else "another host, and there is none"
        return f"found {found(via)}, expected {expected}{nearest(str(via), others)}"
    access = accesses[via]
    if access.options.get("via") is not None:
        return (
            f"found {found(via)}, which is reached through another host itself; expected one that"
            " is reached at once"
        )
    return Via(host=via, access=access)


def jump(name: str, access: Kind, accesses: Mapping[str, Kind]) -> Via | str | None:
    """Find the host that another is reached through, or why it cannot be.

    None for one that is reached at once.
    """
    if access.options.get("via") is None:
        return None
    one = relay(name, access.options["via"], accesses)
    # ssh jumps over ssh alone.
    if isinstance(one, Via) and one.access.kind != access.kind:
        return (
            f"found {found(one.host)}, whose access is {one.access.kind}; expected a host with the"
            f" access {access.kind}"
        )
    return one
