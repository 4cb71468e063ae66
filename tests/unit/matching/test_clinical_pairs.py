"""Pairs that a clinician would judge, through the real decision: whom to link, and whom never without asking.

Each row of ``clinical_pairs.csv`` describes two registrations: what both say, and what one and the other say beside it.
"""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from mpi.domain.registration import read_flat
from mpi.matching.decision import Decision, Outcome, decide
from mpi.matching.model import load_default_model
from mpi.matching.record import StandardRecord
from mpi.matching.standardize import standardize
from tests.support.matching import person_of

MODEL = load_default_model()
SIZES = (50_000, 1_000_000)
"""Records of the index: a hospital's and a region's."""

_TABLE = Path(__file__).parent / "clinical_pairs.csv"
_ROWS = list(csv.DictReader(_TABLE.read_text(encoding="utf-8").splitlines()))


def _cases(answer: str) -> list[object]:
    return [pytest.param(row, id=row["sentence"]) for row in _ROWS if row["answer"] == answer]


def _record(*parts: str) -> StandardRecord:
    fields = (field.partition("=") for part in parts for field in part.split(";") if field)
    submission, warnings = read_flat({name: value for name, _, value in fields})
    assert not warnings
    return standardize(submission.demographics)[0]


def _decided(row: dict[str, str], size: int) -> list[Decision]:
    """What becomes of either registration when the other one is known."""
    one, other = _record(row["both"], row["one"]), _record(row["both"], row["other"])
    return [
        decide(arriving, None, [person_of("A", known)], (), MODEL, size)
        for arriving, known in ((one, other), (other, one))
    ]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("row", _cases("apart"))
def test_different_people_are_never_linked_without_asking(row: dict[str, str], size: int) -> None:
    assert Outcome.LINK not in {decision.outcome for decision in _decided(row, size)}


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("row", _cases("link"))
def test_one_person_is_recognised(row: dict[str, str], size: int) -> None:
    assert {decision.outcome for decision in _decided(row, size)} == {Outcome.LINK}
