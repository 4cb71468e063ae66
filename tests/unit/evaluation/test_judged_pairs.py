"""Tables of judged pairs: which answer counts, and which lines cannot both be right."""

from __future__ import annotations

from pathlib import Path

import pytest

from mpi.domain.record import RecordKey
from mpi.errors import InvalidInput
from mpi.evaluation.training_data import Labels, judged_pairs

PAIR = (RecordKey("A", "1"), RecordKey("B", "2"))


def judged(folder: Path, *lines: str) -> Labels:
    """The labels of a table with a column ``when``."""
    head = "source_a,source_id_a,source_b,source_id_b,same,when\n"
    (folder / "pairs.csv").write_text(head + "\n".join(lines) + "\n")
    return judged_pairs(folder / "pairs.csv")


@pytest.mark.parametrize(
    ("lines", "same"),
    [
        (("A,1,B,2,false,2026-03-01", "B,2,A,1,true,2026-03-02"), True),
        (("A,1,B,2,true,2026-03-02", "A,1,B,2,false,2026-03-01"), True),
        (
            (
                "A,1,B,2,true,2026-03-01 10:00:00.000001+00:00",
                "A,1,B,2,true,2026-03-01 12:00:00+01:00",
                "A,1,B,2,false,2026-03-01 11:30:00+00:00",
            ),
            False,
        ),
        (("A,1,B,2,true,2026-03-01", "A,1,B,2,true,"), True),
        (("A,1,B,2,true,", "A,1,B,2,true,2026-03-01", "A,1,B,2,false,2026-03-02"), False),
    ],
)
def test_the_last_answer_about_a_pair_counts(
    tmp_path: Path, lines: tuple[str, ...], same: bool
) -> None:
    assert judged(tmp_path, *lines) == {PAIR: same}


@pytest.mark.parametrize(
    ("one", "other"),
    [("", ""), ("2026-03-01", ""), ("in spring", "2026-03-01"), ("2026-03-01", "2026-03-01")],
)
def test_without_a_later_one_two_answers_contradict(tmp_path: Path, one: str, other: str) -> None:
    with pytest.raises(InvalidInput, match="line 3 contradicts"):
        judged(tmp_path, f"A,1,B,2,true,{one}", f"A,1,B,2,false,{other}")
