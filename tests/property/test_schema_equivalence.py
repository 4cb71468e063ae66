"""The published schema and the parsers that answer for it accept and reject the same bodies."""

from collections.abc import Callable
from typing import Any

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from mpi.api.requests import (
    MAX_CORRELATION_ID,
    MAX_SEARCH,
    BatchPatient,
    BatchRequest,
    ExplainRequest,
    MatchRequest,
    PatientData,
    RegisterRequest,
    SearchRequest,
)
from mpi.api.submissions import (
    parse_batch,
    parse_match,
    parse_pair,
    parse_registration,
    parse_row,
    parse_search,
)
from mpi.domain import intake
from mpi.domain.record import RecordKey
from mpi.errors import MpiError

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**63),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=8),
    st.sampled_from(["", " ", "a\x00b", "x" * 128, "x" * 129, "y" * 255, "y" * 256, "ё"]),
)
anything = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


def forms(*names: str) -> st.SearchStrategy[Any]:
    """Lists of objects with these members, mostly of the right shape."""
    entry = st.dictionaries(st.sampled_from([*names, "stranger"]), scalars, max_size=3)
    return st.lists(st.none() | entry | scalars, max_size=3) | st.lists(
        entry, min_size=20, max_size=22
    )


PLURAL: dict[str, st.SearchStrategy[Any]] = {
    "names": forms("given", "middle", "family", "suffix", "use"),
    "addresses": forms("line1", "line2", "city", "state", "zip", "country"),
    "identifiers": forms("kind", "value", "system"),
    "phones": st.lists(scalars, max_size=22),
    "emails": st.lists(scalars, max_size=22),
}


def some_of(fields: dict[str, st.SearchStrategy[Any]]) -> st.SearchStrategy[dict[str, Any]]:
    """Objects with a few of these members, seldom of a wholly wrong shape."""
    return st.lists(st.sampled_from(sorted(fields)), max_size=4, unique=True).flatmap(
        lambda names: st.fixed_dictionaries(
            {name: st.one_of(fields[name], fields[name], fields[name], anything) for name in names}
        )
    )


texts = st.one_of(st.none(), st.text(max_size=8), scalars)
patients = some_of(
    dict.fromkeys((*intake.FLAT_FIELDS, *intake.ALIASES), texts) | PLURAL | {"stranger": anything}
)
flags = st.one_of(st.none(), st.booleans(), st.booleans(), scalars)
ids: dict[str, st.SearchStrategy[Any]] = {
    "source": st.one_of(st.just("HOSP-A"), scalars),
    "source_id": st.one_of(st.just("0042"), scalars),
    "recorded_at": st.one_of(st.just("2026-01-01T00:00:00Z"), scalars),
}
patient = {"patient_data": patients | patients | anything}


def body(fields: dict[str, st.SearchStrategy[Any]]) -> st.SearchStrategy[Any]:
    """Bodies that have ``patient_data`` or what else is required, more often than not."""
    return some_of(fields) | st.tuples(some_of(fields), st.fixed_dictionaries(patient)).map(
        lambda pair: pair[0] | pair[1]
    )


def accepts(parse: Callable[[bytes], object], document: Any) -> bool:
    try:
        parse(orjson.dumps(document))
    except MpiError:
        return False
    return True


def fits(model: type[BaseModel], document: Any) -> bool:
    try:
        # As JSON arrives: numbers too large for an integer have become floats.
        model.model_validate(orjson.loads(orjson.dumps(document)))
    except ValidationError:
        return False
    return True


@given(body(ids | patient | {"enroll": flags, "explain": flags, "stranger": anything}))
@example({"patient_data": {"zip": True}})
@example({"patient_data": {"names": [None] * 21}})
@example({"patient_data": {}, "source": "HOSP-A"})
@example({"patient_data": {}, "source": "HOSP-A", "source_id": 42})
@example({"patient_data": {}, "recorded_at": "yesterday"})
@example([])
def test_match(document: Any) -> None:
    assert accepts(parse_match, document) == fits(MatchRequest, document)


@given(body(ids | patient | {"limit": st.integers(-1, MAX_SEARCH + 2) | scalars}))
@example({"patient_data": {}, "limit": 0})
@example({"patient_data": {}, "limit": MAX_SEARCH})
@example({"patient_data": {}, "limit": True})
@example({"patient_data": {}, "limit": 1.0})
def test_search(document: Any) -> None:
    assert accepts(parse_search, document) == fits(SearchRequest, document)


@given(body(patient | {"recorded_at": ids["recorded_at"], "explain": flags, "source": anything}))
def test_register(document: Any) -> None:
    key = RecordKey("HOSP-A", "0042")
    found = accepts(lambda raw: parse_registration(raw, key), document)
    assert found == fits(RegisterRequest, document)


sides = body(ids | patient) | some_of(ids) | anything


@given(
    some_of({"left": sides, "right": sides})
    | st.fixed_dictionaries({"left": sides, "right": sides})
)
@example({"left": {"source": "A", "source_id": "1"}, "right": {"patient_data": {}}})
@example({"left": {"source": "A"}, "right": {"patient_data": {}}})
@example({"left": {}, "right": {"patient_data": {}}})
def test_explain(document: Any) -> None:
    assert accepts(parse_pair, document) == fits(ExplainRequest, document)


@given(
    some_of(
        {
            "patients": st.lists(anything, max_size=3),
            "source": scalars,
            "enroll": flags,
            "explain": flags,
        }
    )
)
@example({"patients": [], "source": "  "})
@example({"patients": [], "source": "x" * 129})
def test_batch(document: Any) -> None:
    found = accepts(lambda raw: parse_batch(raw, 10_000), document)
    assert found == fits(BatchRequest, document)


marks = st.one_of(st.text(max_size=3), st.just("c" * (MAX_CORRELATION_ID + 1)), scalars)


@given(
    st.tuples(patients, some_of(ids | {"correlation_id": marks})).map(lambda p: p[0] | p[1])
    | anything
)
def test_batch_row(document: Any) -> None:
    row = parse_row(orjson.loads(orjson.dumps(document)))
    assert (not isinstance(row.submission, MpiError)) == fits(BatchPatient, document)


def test_published_fields_are_those_that_are_read() -> None:
    known = {*intake.FLAT_FIELDS, *intake.PLURAL_FIELDS, *intake.ALIASES}
    assert set(PatientData.model_fields) == known


@pytest.mark.parametrize("name", intake.FLAT_FIELDS)
def test_every_flat_field_is_read(name: str) -> None:
    parsed = parse_match(orjson.dumps({"patient_data": {name: "1"}}))
    assert parsed.warnings == ()
    assert (
        parsed.submission.demographics
        != parse_match(b'{"patient_data": {}}').submission.demographics
    )
