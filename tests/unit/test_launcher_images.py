"""Which names of images the inventory takes: those that an engine can have."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from reconciler.drivers.launchers.docker import Options


@pytest.mark.parametrize(
    "image",
    [
        "llama",
        "localhost/llama:latest",
        "ghcr.io/ggml-org/llama.cpp:server-cuda",
        "REGISTRY.local:5000/a/b__c/d-e:V1.0_rc",
        "quay.io/x/y@sha256:0123456789abcdef",
        "0123456789ab",
        "sha256:0123456789abcdef",
    ],
)
def test_a_name_with_registry_tag_or_digest_is_taken(image: str) -> None:
    assert Options(image=image).image == image


@pytest.mark.parametrize(
    "image",
    [
        "http://evil/x",
        "a@b",
        "a:b@sha256:zz",
        "-x",
        "a b",
        "x:y:z",
        "a//b",
        "a/B",
        "a:",
        "-host/a",
        "",
    ],
)
def test_a_name_that_no_image_can_have_is_not(image: str) -> None:
    with pytest.raises(ValidationError):
        Options(image=image)
