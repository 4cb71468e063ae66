import pytest

from mpi.domain.registration import UNKNOWN_FIELD, read_flat, unknown_fields
from mpi.errors import InvalidInput


def test_names_of_unknown_fields_are_told_up_to_a_length_and_a_number() -> None:
    told = unknown_fields(["x" * 101, *(f"n{number}" for number in range(200))])
    assert {warning.code for warning in told} == {UNKNOWN_FIELD}
    assert [warning.field for warning in told[:2]] == ["x" * 100 + "…", "n0"]
    assert [warning.field for warning in told[-2:]] == ["n98", "…"]


def test_a_row_of_a_thousand_unknown_columns_has_no_thousand_warnings() -> None:
    _, warnings = read_flat({"last_name": "Byron"} | {f"c{n}": "x" for n in range(1_000)})
    assert len(warnings) == 101


def test_a_row_may_hold_the_patient_as_a_match_does() -> None:
    ids = {"source": "LAB", "source_id": "1", "recorded_at": "2025-01-02T03:04:05Z"}
    patient = {"last_name": "Byron", "dob": "1915-12-10"}
    assert read_flat(ids | {"patient_data": patient}) == read_flat(ids | patient)
    _, warnings = read_flat(ids | {"patient_data": patient, "last_name": "King"})
    assert [(w.field, w.code) for w in warnings] == [("last_name", "unknown_field")]
    with pytest.raises(InvalidInput, match="patient_data must be a JSON object"):
        read_flat(ids | {"patient_data": "Byron"})
