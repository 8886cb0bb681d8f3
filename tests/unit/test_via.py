from __future__ import annotations

from reconciler.config.via import jump, relay
from reconciler.model.spec import Kind, Via

NAS, DIRECT = Kind(kind="ssh", options={"via": None}), Kind(kind="ssh")
ACCESSES = {"box": Kind(kind="ssh", options={"via": "nas"}), "nas": NAS, "pi": Kind(kind="local")}


def test_a_host_may_be_reached_through_another_that_is_reached_in_the_same_way() -> None:
    assert jump("box", ACCESSES["box"], ACCESSES) == Via(host="nas", access=NAS)
    assert jump("nas", NAS, ACCESSES) is None
    assert jump("nas", DIRECT, ACCESSES) is None


def test_what_no_host_can_be_reached_through_is_refused_in_words() -> None:
    def said(via: str) -> object:
        return jump("attic", Kind(kind="ssh", options={"via": via}), ACCESSES)

    assert said("pi") == 'found "pi", whose access is local; expected a host with the access ssh'
    assert (
        said("box")
        == 'found "box", which is reached through another host itself; expected one that is reached'
        " at once"
    )
    assert (
        said("nass")
        == 'found "nass", expected another host of the inventory (box, nas or pi); did you mean'
        ' "nas"?'
    )


def test_a_host_that_is_alone_has_no_relay() -> None:
    assert (
        relay("box", "nas", {"box": DIRECT})
        == 'found "nas", expected another host, and there is none'
    )
    assert (
        relay("box", 7, ACCESSES) == "found 7, expected another host of the inventory (nas or pi)"
    )
    assert relay("box", "pi", ACCESSES) == Via(host="pi", access=ACCESSES["pi"])
