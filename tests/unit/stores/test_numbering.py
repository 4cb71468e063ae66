"""Ids of events and tasks sort, come back, and betray a typing mistake."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mpi.domain.mpi_id import ALPHABET
from mpi.stores.numbering import event_id, event_seq, task_id, task_number

numbers = st.integers(0, 30**8 - 1)


@given(numbers)
def test_numbers_come_back(number: int) -> None:
    assert event_seq(event_id(number)) == number
    assert task_number(task_id(number)) == number
    assert event_seq(event_id(number).lower().replace("-", " ")) == number


@given(numbers, numbers)
def test_ids_sort_as_their_numbers(left: int, right: int) -> None:
    assert (event_id(left)[:-1] < event_id(right)[:-1]) == (left < right)


@given(numbers, st.integers(4, 12), st.sampled_from(ALPHABET))
def test_a_wrong_character_is_found(number: int, place: int, wrong: str) -> None:
    right = event_id(number)
    if right[place] != wrong:
        assert event_seq(right[:place] + wrong + right[place + 1 :]) is None


@pytest.mark.parametrize("text", ["", "EVT", "EVT-", "7", "MPI-000000008", task_id(7)])
def test_other_texts_are_no_events(text: str) -> None:
    assert event_seq(text) is None
