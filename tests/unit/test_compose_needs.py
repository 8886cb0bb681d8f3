"""What a compose program writes out of a service, as far as its image is concerned."""

from __future__ import annotations

import pytest

from reconciler.onhost import compose_needs

NARROW = """services:
  '123':
    image: of/another:1
  tiny:
    command: "--image\\
      \\ no"
    labels:
    - image=no
    build:
      context: /srv
      image: no
    image: 'registry:5000/llm:1'
    environment:
      TEXT: |-
        services:
          tiny:
            image: no
  tiny-2:
    image: of/another:2
version: '2.4'
"""
WIDE = """name: llm
services:
    tiny:
        image: llm@sha256:0f

        networks:
            default: null
volumes:
    tiny:
        image: no
"""


@pytest.mark.parametrize(
    ("text", "image", "is_built"),
    [(NARROW, "registry:5000/llm:1", True), (WIDE, "llm@sha256:0f", False)],
)
def test_the_settings_of_one_service_are_read(text: str, image: str, is_built: bool) -> None:
    told = compose_needs.told(text, "tiny")
    assert (told["image"], "build" in told) == (image, is_built)


@pytest.mark.parametrize(
    "text", ["", "services: {}", "{services: {tiny: {image: a}}}", "services:\n  other:\n    a: 1"]
)
def test_what_is_written_otherwise_tells_nothing(text: str) -> None:
    assert compose_needs.told(text, "tiny") == {}
