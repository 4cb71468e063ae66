"""Which new versions of a registration are another patient's data."""

from __future__ import annotations

import pytest

from mpi.matching.overlays import overlays
from mpi.matching.record import StandardAddress, StandardRecord

INGRID = StandardRecord(
    given=("INGRID",),
    family=("HALVORSEN",),
    dob="2011-04-17",
    sex="F",
    ssn="476203381",
    ssn_last4="3381",
    addresses=(StandardAddress("88", "BIRCHMONT AVE", "BIRCHMONT", zip="55803"),),
)
NO_NUMBER = INGRID._replace(ssn="", ssn_last4="")
ROBERT = StandardRecord(given=("ROBERT",), family=("CZAJKOWSKI",), dob="1951-03-09", sex="M")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (INGRID, ROBERT),
        (NO_NUMBER, NO_NUMBER._replace(given=("ASTRID",))),
        (
            INGRID,
            INGRID._replace(given=("ASTRID",), ssn="476203382", ssn_last4="3382"),
        ),  # the next number
        (ROBERT, ROBERT._replace(dob="1979-08-21")),
        (ROBERT, StandardRecord()),
        (ROBERT, StandardRecord(sex="M", addresses=INGRID.addresses)),
    ],
)
def test_another_patient_is_told(before: StandardRecord, after: StandardRecord) -> None:
    assert overlays(before, after)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (INGRID, INGRID._replace(family=("SOLBERG",), addresses=())),
        (INGRID, INGRID._replace(given=("ASTRID",))),
        (INGRID, INGRID._replace(given=("INGIRD",), dob="2011-04-14")),
        (NO_NUMBER._replace(given=()), NO_NUMBER),
        (NO_NUMBER._replace(given=("I",)), NO_NUMBER),
        (ROBERT, ROBERT._replace(given=("BOB",))),
        (ROBERT, ROBERT._replace(dob="1951-09-03")),
        (INGRID, INGRID._replace(given=("ASTRID",), ssn="476203881", ssn_last4="3881")),
        (INGRID, INGRID._replace(dob="1979-08-21")),
        (ROBERT._replace(dob="1945-01-01"), ROBERT._replace(dob="1962-05-03")),
        (ROBERT._replace(dob="1912-05-03"), ROBERT._replace(dob="2012-05-03")),
        (ROBERT, StandardRecord(dob_damaged="19510399")),
        (NO_NUMBER._replace(given=("XQ",)), NO_NUMBER),
        (StandardRecord(), ROBERT),
        (StandardRecord(sex="M"), StandardRecord()),
    ],
)
def test_what_is_corrected_and_what_changes_in_a_life_is_none(
    before: StandardRecord, after: StandardRecord
) -> None:
    assert not overlays(before, after)
