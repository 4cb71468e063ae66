from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mpi.domain.identity import PersonState
from mpi.matching import gathering
from mpi.matching.comparison import compare
from mpi.matching.gathering import FEW, compare_persons, gather
from mpi.matching.model import load_default_model
from mpi.matching.record import StandardAddress, StandardRecord
from mpi.matching.weighing import Weighing, weigh
from tests.support.matching import person_of

MODEL = load_default_model()
ADA = StandardRecord(
    given=("ADELHEID",),
    family=("VANDERSLOOT",),
    dob="1961-03-17",
    sex="F",
    phones=("+13025550147",),
    addresses=(StandardAddress("12", "ELM ST", "ELM", "", "DOVER", "DE", "19901"),),
)


def _record(number: int) -> StandardRecord:
    """Spellings, homes, silent and contradicting suffixes: traits with one, some and many different values."""
    return ADA._replace(
        given=(("ADELHEID", "ADA", "HEIDI")[number % 3],),
        suffix=("", "", "JR")[number % 3],
        phones=() if number % 5 else (f"+1302555{number:04}",),
        addresses=(ADA.addresses[0]._replace(house=str(number)),),
    )


LARGE = person_of("A", *map(_record, range(10 * FEW)))
SMALL = person_of("B", ADA, _record(7))


def _one_by_one(record: StandardRecord, *persons: PersonState) -> Weighing:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gathering, "FEW", 10**6)
        return weigh(record, persons, MODEL, 1000)


@pytest.mark.parametrize("number", [0, 1, 17, 159, 4000])
def test_many_records_weigh_what_they_weigh_one_by_one(number: int) -> None:
    persons = (SMALL, LARGE, person_of("C", ADA))
    found = weigh(_record(number), persons, MODEL, 1000)
    expected = _one_by_one(_record(number), *persons)
    assert found.totals() == expected.totals()
    assert [found.rows(n) for n in range(3)] == [expected.rows(n) for n in range(3)]


def test_every_level_that_a_record_has_is_there_and_no_other() -> None:
    """Vetoes ask what was seen of a trait: a silent suffix is not to be made up."""
    vectors = compare_persons(_record(3), [LARGE]).vectors
    expected = compare(_record(3), [r.standard for r in LARGE.records])
    for seen, levels in zip(vectors.T, expected.T, strict=True):
        assert set(seen.tolist()) == set(levels.tolist())


def test_a_value_is_compared_once_however_many_records_have_it() -> None:
    crowd = person_of("A", *[ADA] * 500)
    assert len(compare_persons(ADA, [crowd]).vectors) == 1
    assert weigh(ADA, [crowd], MODEL, 1000).totals() == _one_by_one(ADA, crowd).totals()


def test_what_came_last_is_added_to_what_was_gathered() -> None:
    before = gather(LARGE.records[:-1])
    after = gather(LARGE.records)
    assert len(before.records) == len(LARGE.records) - 1
    assert np.array_equal(after.compare(ADA), compare_persons(ADA, [LARGE]).vectors)
    assert gather(LARGE.records[:-1]) is before


def test_a_changed_record_between_the_first_and_the_last_is_noticed() -> None:
    records = list(LARGE.records)
    gather(tuple(records))
    records[5] = replace(records[5], standard=ADA._replace(given=("BERTA",)))
    changed = replace(LARGE, records=tuple(records))
    berta = ADA._replace(given=("BERTA",))
    assert weigh(berta, [changed], MODEL, 1000).rows(0) == _one_by_one(berta, changed).rows(0)
