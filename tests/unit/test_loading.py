"""No garbage is looked for in what is loaded; in what comes after it is, also after a failure."""

from __future__ import annotations

import gc

import pytest

from reconciler.cli.loading import OBJECTS_PER_COLLECTION, loading


def test_nothing_is_collected_while_it_loads_and_what_was_loaded_is_frozen() -> None:
    before = gc.get_freeze_count()
    with loading():
        assert not gc.isenabled()
        loaded: list[list[int]] = [[] for _ in range(100)]
    assert gc.isenabled()
    assert gc.get_threshold()[0] == OBJECTS_PER_COLLECTION
    assert gc.get_freeze_count() >= before + len(loaded)


def test_garbage_is_found_again_after_a_loading_that_failed() -> None:
    with pytest.raises(ImportError), loading():
        raise ImportError
    assert gc.isenabled()
