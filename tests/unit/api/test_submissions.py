from __future__ import annotations

from mpi.api.submissions import parse_match


def test_of_a_name_given_twice_the_last_value_counts() -> None:
    found = parse_match(b'{"patient_data": {"sex": "F", "sex": "M"}}')
    assert found.submission.demographics.sex == "M"
