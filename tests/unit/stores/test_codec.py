"""Records survive their bytes, and bytes of another form are refused without quoting them."""

from collections.abc import Callable
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mpi.domain.record import Address, Demographics, Identifier, Name
from mpi.matching.record import StandardAddress, StandardRecord
from mpi.stores.codec import (
    UnreadableBlob,
    decode_demographics,
    decode_keys,
    decode_standard,
    decode_time,
    decode_warnings,
    encode_demographics,
    encode_keys,
    encode_standard,
    encode_time,
    encode_warnings,
)

# Surrogates never get this far: JSON and CSV in UTF-8 cannot carry them.
text = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
maybe = st.none() | text


def several(items: st.SearchStrategy[object]) -> st.SearchStrategy[tuple[object, ...]]:
    return st.lists(items, max_size=3).map(tuple)


demographics = st.builds(
    Demographics,
    names=several(st.builds(Name, maybe, maybe, maybe, maybe, text)),
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
standard = st.builds(
    StandardRecord,
    addresses=several(st.builds(StandardAddress, text, text, text, text, text, text, text)),
    **{
        name: text if StandardRecord._field_defaults[name] == "" else several(text)
        for name in StandardRecord._fields
        if name != "addresses"
    },
)


@given(demographics)
def test_demographics_come_back_as_they_were(value: Demographics) -> None:
    assert decode_demographics(encode_demographics(value)) == value


@given(standard)
def test_comparison_forms_come_back_as_they_were(value: StandardRecord) -> None:
    found = decode_standard(encode_standard(value))
    assert found == value
    assert type(found) is StandardRecord
    assert {type(address) for address in found.addresses} <= {StandardAddress}


@given(st.lists(st.integers(-(2**63), 2**63 - 1)).map(tuple))
def test_blocking_keys_come_back_in_their_order(keys: tuple[int, ...]) -> None:
    assert decode_keys(encode_keys(keys)) == keys


@given(st.lists(st.tuples(text, text)).map(tuple))
def test_warnings_come_back(warnings: tuple[tuple[str, str], ...]) -> None:
    assert decode_warnings(encode_warnings(warnings)) == warnings


@given(st.datetimes(timezones=st.timezones()))
def test_moments_come_back_to_the_microsecond(moment: datetime) -> None:
    try:
        utc = moment.astimezone(UTC)
    except OverflowError:
        return
    assert decode_time(encode_time(moment)) == utc


def test_a_moment_is_the_same_in_every_zone() -> None:
    noon = datetime(2026, 3, 1, 12, tzinfo=UTC)
    assert encode_time(noon) == encode_time(noon.astimezone(timezone(timedelta(hours=5))))
    with pytest.raises(TypeError):
        encode_time(noon.replace(tzinfo=None))


def test_decoded_values_are_as_frozen_as_any() -> None:
    decoded = decode_demographics(encode_demographics(Demographics(dob="1980-01-01")))
    assert type(decoded) is Demographics
    with pytest.raises(AttributeError):
        decoded.dob = "1981-01-01"  # type: ignore[misc]
    assert hash(decoded) == hash(Demographics(dob="1980-01-01"))
    assert replace(decoded, dob=None) == Demographics()


def test_form_1_holds_these_fields_in_this_order() -> None:
    """Whoever changes a field other than by adding one at the end has to raise the form byte."""
    assert [f.name for f in fields(Demographics)] == (
        "names dob sex ssn addresses phones emails identifiers mothers_maiden_name birth_order "
        "multiple_birth deceased_date"
    ).split()
    assert (
        list(StandardRecord._fields)
        == (
            "given middle family suffix dob dob_damaged sex ssn ssn_last4 national_id addresses phones "
            "emails identifiers mothers_maiden birth_order multiple_birth deceased"
        ).split()
    )
    assert list(StandardAddress._fields) == ("house street core unit city state zip").split()
    assert [f.name for f in fields(Name)] == "given middle family suffix use".split()
    assert [f.name for f in fields(Address)] == "line1 line2 city state zip country".split()
    assert [f.name for f in fields(Identifier)] == "kind value system".split()


@pytest.mark.parametrize("decode", [decode_demographics, decode_standard])
@pytest.mark.parametrize("blob", [b"", b"\x02[]", b'\x01["Sentinel"', b"\x01"])
def test_other_bytes_are_refused_without_quoting_them(
    decode: Callable[[bytes], object], blob: bytes
) -> None:
    with pytest.raises(UnreadableBlob) as caught:
        decode(blob)
    assert "Sentinel" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("values", [b"{}", b'["Sentinel"]', b"[[1]]", b"null"])
def test_a_comparison_form_of_another_shape_is_refused_without_quoting_it(values: bytes) -> None:
    with pytest.raises(UnreadableBlob) as caught:
        decode_standard(b"\x01" + values)
    assert "Sentinel" not in str(caught.value)


def test_half_a_blocking_key_is_refused() -> None:
    with pytest.raises(UnreadableBlob):
        decode_keys(b"1234567")
