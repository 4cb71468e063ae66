"""Reading never fails, whatever was typed, and reading what was read changes nothing."""

from __future__ import annotations

import re

from hypothesis import given, settings
from hypothesis import strategies as st

from mpi.domain.record import Address, Demographics, Identifier, Name
from mpi.domain.registration import read_flat
from mpi.matching.blocking import blocking_keys, stored_keys
from mpi.matching.record import StandardRecord
from mpi.matching.standardize import standardize

# Surrogates are refused at the door. The words are those that rules are about.
anything = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
word = st.sampled_from(
    "Dr Jr III de la van O'Brien St. Saint y Mary-Ann Unknown Baby Boy 12 12A 1/2 N NE Main Street Apt # 4B PO "
    "Box RR 2 HWY 1st 412-55-7813 1980-12-25 12/25/1980 25 Dec , . - / 302-555-0147 +44 x12 a@b.c María 李 ß ½ ٣".split(
        " "
    )
)
phrase = st.lists(word, max_size=7).map(" ".join)
text = anything | phrase
maybe = st.none() | text


def several(items: st.SearchStrategy[object]) -> st.SearchStrategy[tuple[object, ...]]:
    return st.lists(items, max_size=4).map(tuple)


uses = st.sampled_from(["official", "alias", "maiden"])
demographics = st.builds(
    Demographics,
    names=several(st.builds(Name, maybe, maybe, maybe, maybe, uses)),
    dob=maybe,
    sex=maybe,
    ssn=maybe,
    addresses=several(st.builds(Address, maybe, maybe, maybe, maybe, maybe, maybe)),
    phones=several(text),
    emails=several(text),
    identifiers=several(st.builds(Identifier, text, text, maybe)),
    mothers_maiden_name=maybe,
    birth_order=maybe,
    multiple_birth=maybe,
    deceased_date=maybe,
)


def values(record: StandardRecord) -> list[str]:
    found: list[str] = []
    for name, value in record._asdict().items():
        if name == "addresses":
            found += [part for address in value for part in address]
        else:
            found += [value] if isinstance(value, str) else value
    return found


@given(demographics)
@settings(max_examples=400, deadline=None)
def test_reading_never_fails_and_gives_plain_text(given_: Demographics) -> None:
    record, warnings = standardize(given_)
    assert all(value.isascii() for value in values(record))
    assert all(value == value.upper() for value in set(values(record)) - set(record.emails))
    assert all(value == value.lower() for value in record.emails)
    assert "" not in (*record.given, *record.middle, *record.family, *record.phones)
    assert re.fullmatch(r"(\d{4}(-\d\d(-\d\d)?)?)?", record.dob)
    assert not (record.dob and record.dob_damaged)
    assert all(warning.field and warning.code for warning in warnings)
    # Keys have to exist for whatever was read, and lead to a copy of it: every one, or the coarse one beside it.
    asked, stored = {key for key, _ in blocking_keys(record)}, set(stored_keys(record))
    assert all({key, key ^ 1} & stored for key in asked)
    assert not asked or asked & stored


@given(demographics)
@settings(max_examples=200, deadline=None)
def test_the_same_registration_is_read_the_same(given_: Demographics) -> None:
    assert standardize(given_) == standardize(given_)


@given(
    st.fixed_dictionaries(
        dict.fromkeys(
            "ssn dob sex city state zip email birth_order multiple_birth deceased_date".split(),
            text,
        )
    )
)
@settings(max_examples=400, deadline=None)
def test_what_was_read_reads_as_itself(row: dict[str, str]) -> None:
    submission, _ = read_flat(row)
    once, _ = standardize(submission.demographics)
    home = once.addresses[0] if once.addresses else None
    again, _ = standardize(
        Demographics(
            ssn=once.ssn or once.national_id or once.ssn_last4,
            dob=once.dob,
            sex=once.sex,
            emails=once.emails,
            addresses=(
                () if home is None else (Address(city=home.city, state=home.state, zip=home.zip),)
            ),
            birth_order=once.birth_order,
            multiple_birth=once.multiple_birth,
            deceased_date=once.deceased,
        )
    )
    for (
        name
    ) in "ssn national_id ssn_last4 dob sex emails addresses birth_order multiple_birth deceased".split():
        assert getattr(again, name) == getattr(once, name), name


@given(
    st.lists(
        st.sampled_from("ANNA MARIE OBRIEN GARCIA LOPEZ NGUYEN ROSS".split()),
        min_size=1,
        max_size=4,
        unique=True,
    )
)
def test_names_that_were_read_read_as_themselves(names: list[str]) -> None:
    record, _ = standardize(
        Demographics(names=(Name(given=" ".join(names), family=" ".join(names)),))
    )
    assert record.given == record.family == tuple(names)
