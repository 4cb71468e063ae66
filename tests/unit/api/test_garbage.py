"""Garbage is collected when it is due, and never in the midst of a match."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from mpi.api.garbage import collect_between_answers, collect_if_due


@pytest.mark.parametrize(
    ("counts", "collected"),
    [
        ((300, 10, 40_000), []),
        ((301, 10, 40_000), [0]),
        ((0, 11, 40_000), [1]),
        ((301, 11, 40_001), [2]),
    ],
)
def test_the_oldest_generation_that_is_due_is_collected(
    counts: tuple[int, int, int], collected: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[int] = []
    monkeypatch.setattr(gc, "get_count", lambda: counts)
    monkeypatch.setattr(gc, "collect", found.append)
    collect_if_due()
    assert found == collected


@pytest.fixture
def as_it_was() -> Iterator[None]:
    threshold = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*threshold)


@pytest.mark.usefixtures("as_it_was")
def test_nothing_is_collected_while_an_answer_is_made() -> None:
    collect_between_answers()
    started: list[str] = []
    gc.callbacks.append(lambda phase, _: started.append(phase))
    try:
        young = [[number] for number in range(5_000)]
        assert started == []
        collect_if_due()
        assert started == ["start", "stop"]
        assert len(young) == 5_000
    finally:
        gc.callbacks.pop()
