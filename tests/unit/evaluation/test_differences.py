"""Whatever two models may decide differently by is told."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import pytest

from mpi.evaluation.differences import differences
from mpi.matching.model import Model, Weights, load_default_model

SHIPPED = load_default_model()

CHANGED: dict[str, tuple[Callable[[Model], Model], set[tuple[str, str]]]] = {
    "a threshold": (
        lambda model: replace(model, thresholds=replace(model.thresholds, margin=9.0)),
        {("threshold", "margin")},
    ),
    "the rarest name": (lambda model: replace(model, rarest=2e-9), {("prior", "rarest")}),
    "the catchment": (lambda model: replace(model, catchment=7), {("prior", "catchment")}),
    "weights": (lambda model: replace(model, match=_at(model.match, 1.0)), {("weight", "given")}),
    "relatives": (
        lambda model: replace(model, rivals=np.stack([_at(each, 1.0) for each in model.rivals])),
        {("weight", "given")},
    ),
    "communities": (
        lambda model: replace(model, community=_at(model.community, 1.0)),
        {("weight", "given")},
    ),
    "chances": (
        lambda model: replace(model, chance=_at(model.chance, 0.01)),
        {("chance", "given")},
    ),
    "a name": (
        lambda model: replace(model, frequencies=_with(model, "family", {"SMITH": 0.9})),
        {("frequency", "family")},
    ),
    "a new name": (
        lambda model: replace(model, frequencies=_with(model, "given", {"XZQY": 0.9})),
        {("frequency", "given")},
    ),
}


def _at(numbers: Weights, more: float) -> Weights:
    """The same, but for the first level of the first trait."""
    changed = numbers.copy()
    changed[0, 1] += more
    return changed


def _with(model: Model, trait: str, names: dict[str, float]) -> dict[str, Mapping[str, float]]:
    return {**model.frequencies, trait: {**model.frequencies[trait], **names}}


@pytest.mark.parametrize("what", CHANGED)
def test_a_change_is_told_and_nothing_else(what: str) -> None:
    change, told = CHANGED[what]
    found = differences(SHIPPED, change(SHIPPED))
    assert {(each.kind, each.name) for each in found} >= told
    assert {each.kind for each in found} == {kind for kind, _ in told} | (
        {"frequency"} if what == "the rarest name" else set()
    )
    assert differences(SHIPPED, SHIPPED) == []


def test_small_changes_are_left_out_but_no_threshold_or_prior() -> None:
    slightly = replace(
        SHIPPED,
        match=_at(SHIPPED.match, 0.01),
        catchment=SHIPPED.catchment + 1,
        thresholds=replace(SHIPPED.thresholds, link=SHIPPED.thresholds.link + 0.01),
    )
    found = differences(SHIPPED, slightly, 0.05)
    assert [(each.kind, each.name) for each in found] == [
        ("threshold", "link"),
        ("prior", "catchment"),
    ]
