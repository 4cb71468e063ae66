"""What leaves the process comes back whole, or not at all."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mpi.cache.sealing import FORMAT, Seal
from mpi.ports import KeptAnswer
from tests.support.cache import SECRET, an_answer

numbers = st.integers(0, 2**63 - 1)
answers = st.builds(
    KeptAnswer,
    body=st.binary(max_size=200),
    status=st.text(max_size=20),
    tags=st.lists(st.integers(0, 2**64 - 1), max_size=50).map(tuple),
    position=numbers,
    mark=st.integers(0, 2**64 - 1),
    valid_until=numbers,
    expires=st.floats(0, 1e12),
)


@given(answers, st.binary())
def test_an_answer_comes_back_as_it_was(answer: KeptAnswer, key: bytes) -> None:
    assert Seal(SECRET).open(key, Seal(SECRET).close(key, answer)) == answer


@given(st.data())
def test_a_changed_answer_is_none(data: st.DataObject) -> None:
    sealed = bytearray(Seal(SECRET).close(b"key", an_answer()))
    place = data.draw(st.integers(0, len(sealed) - 1))
    sealed[place] ^= data.draw(st.integers(1, 255))
    assert Seal(SECRET).open(b"key", bytes(sealed)) is None


@given(st.binary(max_size=100))
def test_what_never_was_an_answer_is_none(sealed: bytes) -> None:
    assert Seal(SECRET).open(b"key", sealed) is None


def test_an_answer_belongs_to_its_key_and_its_secret() -> None:
    sealed = Seal(SECRET).close(b"key", an_answer())
    assert Seal(SECRET).open(b"other", sealed) is None
    assert Seal(b"t" * 32).open(b"key", sealed) is None


def test_the_form_has_a_number() -> None:
    # To be raised with the keys that are asked for (`test_blocking.py`) and with the marks of events as well.
    assert FORMAT == 2
