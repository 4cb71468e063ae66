"""Models as documents: what :func:`mpi.matching.model.load_model` reads, written from a model."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from typing import Any

import numpy as np

from mpi.matching.comparison import TRAITS
from mpi.matching.model import RIVALS, Model, Weights, load_model
from mpi.matching.tables import census_frequencies

_DIGITS = 3  # of a weight in bits: finer than any set of pairs can tell


def with_weights(model: Model, match: Weights, rivals: Weights, expected: Weights) -> Model:
    """The model with other weights, and everything that follows from them; shapes as in :class:`Model`."""
    changed = replace(model, match=match, rivals=rivals, expected=expected)
    return load_model(document_of(changed, ""))


def document_of(model: Model, about: str) -> bytes:
    """The document of a model, one line per level; ``about`` says where it comes from. Weights are rounded."""
    traits = ",\n".join(_trait(model, row) for row in range(len(TRAITS)))
    expected = {name: _short(count) for name, count in zip(RIVALS, model.expected, strict=True)}
    rest: dict[str, Any] = {
        "frequencies": None if _of_census(model) else model.frequencies,
        "rarest_frequency": model.rarest,
        "prior": {
            "known_share": model.known_share,
            "smallest_index": model.smallest_index,
            "catchment": model.catchment,
            "expected": expected,
            "community_share": model.community_share,
        },
        "community": _community(model),
        "thresholds": asdict(model.thresholds),
    }
    head = json.dumps({"version": model.version, "about": about}, indent=1, ensure_ascii=False)
    tail = json.dumps(rest, indent=1, ensure_ascii=False)
    return f'{head[:-2]},\n "traits": {{\n{traits}\n }},{tail[1:]}\n'.encode()


def _of_census(model: Model) -> bool:
    return model.frequencies is census_frequencies()


def _community(model: Model) -> dict[str, dict[str, float]]:
    told = {
        trait.name: {
            level: float(weight)
            for level, weight in zip(trait.levels, model.community[row], strict=False)
            if weight
        }
        for row, trait in enumerate(TRAITS)
    }
    return {trait: levels for trait, levels in told.items() if levels}


def _trait(model: Model, row: int) -> str:
    levels = [
        f"   {json.dumps(level)}: {json.dumps(_level(model, row, column))}"
        for column, level in enumerate(TRAITS[row].levels[1:], start=1)
    ]
    return f"  {json.dumps(TRAITS[row].name)}: {{\n" + ",\n".join(levels) + "\n  }"


def _level(model: Model, row: int, column: int) -> dict[str, float]:
    weights = np.round([model.match[row, column], *model.rivals[:, row, column]], _DIGITS).tolist()
    return {
        "u": _short(model.chance[row, column]),
        **dict(zip(("match", *RIVALS), weights, strict=True)),
    }


def _short(number: float) -> float:
    return float(f"{number:.4g}")
