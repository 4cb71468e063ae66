"""The pairs that a model gets most wrong, and why."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mpi.domain.identity import Neighbour
from mpi.domain.record import Guarded
from mpi.evaluation.trial import Trial
from mpi.matching.decision import explain_person
from mpi.matching.record import StandardAddress, StandardRecord
from mpi.matching.weighing import ExplanationRow

_SHOWN = 8


@dataclass(frozen=True, slots=True, repr=False)
class ShownError(Guarded):
    """A pair: its weight, what it is made of, what forbids a link, and the compared values, which are patient data."""

    weight: float
    steps: tuple[tuple[str, float], ...]
    vetoes: tuple[str, ...]
    values: tuple[tuple[str, str, str], ...]


def worst_errors(trial: Trial) -> tuple[list[ShownError], list[ShownError]]:
    """The heaviest pairs of different people, and the lightest of one person; every pair of levels once."""
    pairs = trial.pairs
    heaviest = np.flatnonzero(~pairs.same)[np.argsort(-pairs.ranked[~pairs.same], kind="stable")]
    lightest = np.flatnonzero(pairs.same)[np.argsort(pairs.ranked[pairs.same], kind="stable")]
    limits = trial.model.thresholds
    false = [place for place in heaviest[:1_000].tolist() if pairs.ranked[place] > limits.possible]
    missed = [place for place in lightest[:1_000].tolist() if pairs.ranked[place] < limits.link]
    return _unlike(trial, false), _unlike(trial, missed)


def _unlike(trial: Trial, places: list[int]) -> list[ShownError]:
    seen: set[bytes] = set()
    found: list[ShownError] = []
    for place in places:
        kind = trial.pairs.compared.levels[place].tobytes()
        if kind not in seen and len(found) < _SHOWN:
            seen.add(kind)
            found.append(_shown(trial, place))
    return found


def _shown(trial: Trial, place: int) -> ShownError:
    pairs = trial.pairs
    left, right = (
        pairs.records[int(side[place])] for side in (pairs.compared.left, pairs.compared.right)
    )
    person = Neighbour("", (right,))
    told = explain_person(left.standard, person, trial.model, len(pairs.records))
    steps = tuple((_name(row), row.weight) for row in told.rows)
    return ShownError(told.match_weight, steps, told.vetoes, _values(left.standard, right.standard))


def _name(row: ExplanationRow) -> str:
    if row.kind == "term_frequency":
        return f"{row.trait}: how common"
    return f"{row.trait}: {row.level.replace('_', ' ')}" if row.level else row.trait


def _values(left: StandardRecord, right: StandardRecord) -> tuple[tuple[str, str, str], ...]:
    rows = []
    for name in StandardRecord._fields:
        one, other = (_text(getattr(record, name)) for record in (left, right))
        if one or other:
            rows.append((name, one, other))
    return tuple(rows)


def _text(value: object) -> str:
    if isinstance(value, StandardAddress):
        parts = (value.house, value.street, value.unit, value.city, value.state, value.zip)
        return " ".join(filter(None, parts))
    if isinstance(value, tuple):
        return "; ".join(_text(part) for part in value)
    return str(value)
