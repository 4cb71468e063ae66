from collections import Counter

import pytest

from mpi.matching.partition_scores import (
    STRANGER,
    HardCase,
    RelatedPairs,
    hard_cases,
    related_pairs,
    score,
    wrong_merges,
)

TRUTH = {"a1": "A", "a2": "A", "a3": "A", "b1": "B", "b2": "B", "c1": "C"}


def test_the_truth_itself_is_perfect() -> None:
    found = score(TRUTH, TRUTH)
    assert (found.precision, found.recall, found.b3, found.lost) == (1.0, 1.0, 1.0, 0)
    assert (found.records, found.true_pairs) == (6, 4)


def test_the_names_of_persons_do_not_matter() -> None:
    renamed = {record: f"MPI-{person}" for record, person in TRUTH.items()}
    assert score(TRUTH, renamed) == score(TRUTH, TRUTH)


def test_a_split_person_costs_recall_only() -> None:
    found = score(TRUTH, TRUTH | {"a3": "other"})
    assert found.precision == 1.0
    assert found.recall == 2 / 4
    # a1 and a2 see two of three, a3 sees one of three, the others all.
    assert found.b3_recall == pytest.approx((2 / 3 + 2 / 3 + 1 / 3 + 3) / 6)
    assert found.b3_precision == 1.0


def test_a_wrong_merge_costs_precision_only() -> None:
    found = score(TRUTH, TRUTH | {"c1": "B"})
    assert found.precision == 4 / 6
    assert found.recall == 1.0
    # b1 and b2 are two thirds right, c1 one third, the others wholly.
    assert found.b3_precision == pytest.approx((3 + 2 / 3 + 2 / 3 + 1 / 3) / 6)
    assert found.b3 == pytest.approx(2 * found.b3_precision / (found.b3_precision + 1))


def test_lost_records_count_as_persons_of_their_own() -> None:
    found = score(TRUTH, dict.fromkeys(("a1", "a2"), "A"))
    assert found.lost == 4
    assert found.precision == 1.0
    assert found.recall == 1 / 4


def test_records_that_the_truth_does_not_know_are_left_out() -> None:
    assert score(TRUTH, TRUTH | {"x1": "A", "x2": "A"}) == score(TRUTH, TRUTH)


def test_a_truth_of_singletons_loses_nothing() -> None:
    found = score({"a": "A", "b": "B"}, {"a": "1", "b": "2"})
    assert (found.precision, found.recall, found.b3) == (1.0, 1.0, 1.0)


def test_nothing_cannot_be_scored() -> None:
    with pytest.raises(ValueError, match="nothing"):
        score({}, {})


def test_wrong_merges_count_persons_and_the_relations_of_their_people() -> None:
    truth = TRUTH | {"d1": "D", "e1": "E"}
    found = truth | {"b1": "A", "c1": "A", "e1": "D"}
    related = [("A", "B", "twin"), ("D", "E", "jr"), ("B", "E", "spouse")]
    merges = wrong_merges(truth, found, related)
    assert merges.persons == 3
    assert merges.wrong == 2
    assert merges.relations == Counter({"twin": 1, "jr": 1, STRANGER: 2})
    assert merges.per_100k == pytest.approx(200_000 / 3)


def test_a_merge_seen_in_two_persons_counts_its_people_once() -> None:
    merges = wrong_merges(
        {"a1": "A", "a2": "A", "b1": "B", "b2": "B"},
        {"a1": "1", "b1": "1", "a2": "2", "b2": "2"},
        [("B", "A", "twin")],
    )
    assert merges.wrong == 2
    assert merges.relations == Counter({"twin": 1})


def test_pairs_of_related_people_count_by_record() -> None:
    related = [
        ("A", "B", "twin"),
        ("B", "A", "twin"),  # told twice
        ("B", "C", "twin"),
        ("A", "C", "jr"),
        ("A", "X", "spouse"),  # of whom no record is known
    ]
    found = related_pairs(TRUTH, TRUTH | {"a1": "B", "c1": "B"}, related)
    # Of the three records of A, one is with both of B, who are with the one of C.
    assert found == (RelatedPairs("twin", 8, 4), RelatedPairs("jr", 3, 1))
    assert found[0].share == 0.5


def test_a_hard_case_counts_the_pairs_that_its_records_are_in() -> None:
    tags = {"a1": ("twin", "moved"), "b1": ("moved",), "x": ("twin",)}
    found = hard_cases(TRUTH, TRUTH | {"a1": "B", "c1": "B"}, tags)
    # a1 has lost a2 and a3 and sits with b1, b2 and c1; b1 has b2, and c1 beside a1.
    assert found == (HardCase("moved", 2, 3, 1, 4), HardCase("twin", 1, 2, 0, 3))
    assert [case.recall for case in found] == [1 / 3, 0]
    assert HardCase("alone", 1, 0, 0, 0).recall is None
