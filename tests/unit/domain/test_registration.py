from mpi.domain.registration import UNKNOWN_FIELD, read_flat, unknown_fields


def test_names_of_unknown_fields_are_told_up_to_a_length_and_a_number() -> None:
    told = unknown_fields(["x" * 101, *(f"n{number}" for number in range(200))])
    assert {warning.code for warning in told} == {UNKNOWN_FIELD}
    assert [warning.field for warning in told[:2]] == ["x" * 100 + "…", "n0"]
    assert [warning.field for warning in told[-2:]] == ["n98", "…"]


def test_a_row_of_a_thousand_unknown_columns_has_no_thousand_warnings() -> None:
    _, warnings = read_flat({"last_name": "Byron"} | {f"c{n}": "x" for n in range(1_000)})
    assert len(warnings) == 101
