"""Pairs compared in bulk have the levels that each of them has alone."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from mpi.demo.population import Population
from mpi.domain.registration import read_flat
from mpi.matching.comparison import TRAITS, compare
from mpi.matching.pairs import Columns
from mpi.matching.record import StandardAddress, StandardRecord
from mpi.matching.standardize import standardize


def _text(letters: str, least: int, most: int) -> st.SearchStrategy[str]:
    return st.text(letters, min_size=least, max_size=most)


def _some(values: st.SearchStrategy[str], most: int) -> st.SearchStrategy[tuple[str, ...]]:
    return st.lists(values, max_size=most).map(tuple)


# Few letters and a handful of known values, so that values often agree, nearly or crosswise.
_NAMES = (
    st.sampled_from(["ROBERT", "BOB", "ROB", "KATHERINE", "CATHRYN", "SMITH", "SMYTHE", "VANDORN"])
    | st.sampled_from(
        ["ABD", "AL", "RAHMAN", "ABDELRAHMAN", "HYUN", "U", "HYUNWOO", "RUIZ", "CARLOS"]
    )
    | _text("ABEN", 1, 7)
    | _text("0AÉ", 1, 3)
)
_DAYS = st.dates(date(1998, 12, 20), date(2002, 2, 3))
_DATES = _DAYS.map(str) | _DAYS.map(lambda day: str(day)[:7]) | st.just("") | st.just("1961-01-01")
_SSNS = st.integers(199_999_990, 200_000_010).map(str) | _text("12", 9, 9) | st.just("")
_PHONES = _text("12", 8, 11).map("+1".__add__)
_EMAILS = st.builds("{}@{}".format, _text("abß", 1, 5), st.sampled_from(["x.org", "y.org"]))
_ADDRESSES = st.builds(
    StandardAddress,
    house=_text("12", 0, 3),
    core=st.sampled_from(["", "MAIN", "MAINE", "PO BOX 12"]),
    unit=_text("12", 0, 1),
    city=st.sampled_from(["", "TROY", "ROME"]),
    state=st.sampled_from(["", "NY", "OH"]),
    zip=st.sampled_from(["", "1"]) | _text("123", 5, 5),
)
_RECORDS = st.builds(
    StandardRecord,
    given=_some(_NAMES, 3),
    middle=_some(_NAMES, 2),
    family=_some(_NAMES, 3),
    suffix=st.sampled_from(["", "JR", "SR"]),
    dob=_DATES,
    dob_damaged=st.just("") | _text("0129", 1, 9),
    sex=st.sampled_from(["", "M", "F", "X"]),
    ssn=_SSNS,
    ssn_last4=st.just("") | _text("12", 4, 4),
    national_id=st.just("") | _text("1A", 1, 6),
    addresses=st.lists(_ADDRESSES, max_size=2).map(tuple),
    phones=_some(_PHONES, 2),
    emails=_some(_EMAILS, 2),
    identifiers=_some(st.builds("MRN|{}|{}".format, _text("AB", 1, 1), _text("12", 1, 2)), 2),
    mothers_maiden=st.just("") | _NAMES,
    birth_order=st.sampled_from(["", "1", "2"]),
    multiple_birth=st.sampled_from(["", "Y", "N"]),
    deceased=st.sampled_from(["", "2020-01-02", "2021-01-02"]),
)


def _all_pairs_agree(records: Sequence[StandardRecord]) -> None:
    left, right = (places.ravel() for places in np.indices((len(records), len(records))))
    found = Columns(records).compare(left, right)
    for place, record in enumerate(records):
        alone = compare(record, records)
        wrong = np.flatnonzero((found[left == place] != alone).any(axis=0))
        assert [TRAITS[column].name for column in wrong] == []


@given(st.lists(_RECORDS, min_size=1, max_size=12))
@settings(max_examples=150, deadline=None)
def test_pairs_of_any_records_have_the_levels_they_have_alone(
    records: list[StandardRecord],
) -> None:
    _all_pairs_agree(records)


def test_pairs_of_patients_have_the_levels_they_have_alone() -> None:
    rows = (row for row, _ in Population(200, 5).rows())
    _all_pairs_agree([standardize(read_flat(row)[0].demographics)[0] for row in rows])


def test_numbers_issued_in_a_row_are_seen_across_every_carry() -> None:
    numbers = map(str, range(199_999_990, 200_000_010))
    _all_pairs_agree([StandardRecord(ssn=n, ssn_last4=n[-4:]) for n in numbers])


def test_any_list_of_pairs_can_be_compared() -> None:
    records = [StandardRecord(given=("MARY",)), StandardRecord(given=("IFEOMA",)), StandardRecord()]
    columns = Columns(records)
    assert columns.compare(np.array([], int), np.array([], int)).shape == (0, len(TRAITS))
    left, right = np.array([2, 0, 0]), np.array([0, 0, 1])
    alone = [compare(records[a], [records[b]])[0] for a, b in zip(left, right, strict=True)]
    assert columns.compare(left, right).tolist() == np.array(alone).tolist()
