from __future__ import annotations

import math
from dataclasses import replace

import pytest

from mpi.domain.identity import Assertion, AssertionKind, PersonState
from mpi.matching.decision import (
    Decision,
    Grade,
    Outcome,
    confidence_of,
    decide,
    explain_person,
    fits,
    grade_of,
    self_weight,
)
from mpi.matching.model import load_default_model
from mpi.matching.record import StandardRecord
from tests.support.matching import AT, person_of, record_key

MODEL = load_default_model()
LIMITS = MODEL.thresholds
SIZE = 1000

MARGA = StandardRecord(
    given=("MARGUERITE",),
    family=("VANDERSLOOT",),
    dob="1961-03-17",
    sex="F",
    ssn="412557813",
    ssn_last4="7813",
    phones=("+13025550147",),
    emails=("MARGA.V@EXAMPLE.ORG",),
)
BY_NUMBER = StandardRecord(
    given=MARGA.given, family=MARGA.family, ssn=MARGA.ssn, ssn_last4=MARGA.ssn_last4
)
BY_BIRTH = StandardRecord(
    given=MARGA.given, family=MARGA.family, dob=MARGA.dob, phones=MARGA.phones, emails=MARGA.emails
)
OTTO = StandardRecord(given=("OTTOKAR",), family=("PRZYBYLSKI",), dob="1984-11-02", sex="M")


def _asserted(kind: AssertionKind, left: str, right: str) -> Assertion:
    return Assertion(kind, record_key(left), record_key(right), "eve", "seen", AT)


def _decide(
    record: StandardRecord, *persons: PersonState, assertions: tuple[Assertion, ...] = ()
) -> Decision:
    return decide(record, record_key("me"), persons, assertions, MODEL, SIZE)


def test_without_candidates_a_record_is_new() -> None:
    decision = _decide(MARGA)
    assert (decision.outcome, decision.best, decision.reason) == (Outcome.NEW, None, None)


def test_a_certain_candidate_is_linked() -> None:
    decision = _decide(MARGA, person_of("A", MARGA), person_of("B", OTTO))
    assert (decision.outcome, decision.mpi_id) == (Outcome.LINK, "A")
    assert (decision.merge, decision.review) == ((), ())


def test_a_stranger_is_new_and_not_shown() -> None:
    decision = _decide(MARGA, person_of("B", OTTO))
    assert (decision.outcome, decision.mpi_id, decision.candidates) == (Outcome.NEW, None, ())


def test_between_the_thresholds_a_steward_is_asked() -> None:
    weight = explain_person(BY_NUMBER, person_of("A", MARGA), MODEL, SIZE).match_weight
    for link, review, outcome, reason in (
        (weight + 1, weight - 1, Outcome.REVIEW, "uncertain"),
        (weight, weight - 1, Outcome.LINK, None),
        (weight + 2, weight + 1, Outcome.NEW, "insufficient_weight"),
    ):
        model = replace(MODEL, thresholds=replace(LIMITS, link=link, review=review))
        decision = decide(BY_NUMBER, None, [person_of("A", MARGA)], (), model, SIZE)
        assert (decision.outcome, decision.reason) == (outcome, reason)
        assert decision.review == (("A",) if outcome is Outcome.REVIEW else ())


def test_a_veto_turns_certainty_into_a_question() -> None:
    decision = _decide(MARGA._replace(suffix="JR"), person_of("A", MARGA._replace(suffix="SR")))
    assert (decision.outcome, decision.reason) == (Outcome.REVIEW, "vetoed")
    assert decision.review == ("A",)


def test_not_same_forbids_the_link_and_the_next_best_is_taken() -> None:
    apart = _asserted(AssertionKind.NOT_SAME, "me", "A1")
    decision = _decide(MARGA, person_of("A", MARGA), person_of("B", BY_BIRTH), assertions=(apart,))
    assert (decision.outcome, decision.mpi_id) == (Outcome.LINK, "B")


def test_nobody_is_asked_again_about_a_person_that_a_human_called_another() -> None:
    apart = _asserted(AssertionKind.NOT_SAME, "me", "A1")
    alone = _decide(MARGA, person_of("A", MARGA), assertions=(apart,))
    assert (alone.outcome, alone.reason, alone.review) == (Outcome.NEW, "not_same_assertion", ())
    assert alone.candidates[0].vetoes == ("not_same_assertion",), "shown, but no question"
    junior, senior = MARGA._replace(suffix="JR"), MARGA._replace(suffix="SR")
    beside = _decide(junior, person_of("A", junior), person_of("B", senior), assertions=(apart,))
    assert (beside.outcome, beside.reason, beside.review) == (Outcome.REVIEW, "vetoed", ("B",))
    assert beside.best is not None
    assert beside.best.mpi_id == "B"


def test_same_links_whatever_the_weight() -> None:
    same = _asserted(AssertionKind.SAME, "A1", "me")
    decision = _decide(MARGA, person_of("A", OTTO), person_of("B", OTTO), assertions=(same,))
    assert (decision.outcome, decision.mpi_id) == (Outcome.LINK, "A")
    assert decision.candidates[0].same_assertion


def test_an_assertion_about_other_records_says_nothing() -> None:
    other = _asserted(AssertionKind.NOT_SAME, "X1", "A1")
    scored = fits(MARGA, record_key("me"), person_of("A", MARGA), (other,), MODEL, SIZE)
    assert scored.vetoes == ()
    about_me = _asserted(AssertionKind.NOT_SAME, "me", "A1")
    assert fits(MARGA, None, person_of("A", MARGA), (about_me,), MODEL, SIZE).vetoes == ()


def test_two_certain_persons_that_may_be_one_merge() -> None:
    decision = _decide(MARGA, person_of("A", BY_NUMBER), person_of("B", BY_BIRTH))
    assert decision.outcome is Outcome.LINK
    assert {decision.mpi_id, *decision.merge} == {"A", "B"}
    assert decision.review == ()


@pytest.mark.parametrize("pair", [("A1", "B1"), ("B1", "A1")])
def test_two_certain_persons_asserted_not_same_never_merge(pair: tuple[str, str]) -> None:
    apart = _asserted(AssertionKind.NOT_SAME, *pair)
    persons = person_of("A", BY_NUMBER), person_of("B", BY_BIRTH)
    decision = _decide(MARGA, *persons, assertions=(apart,))
    assert decision.merge == ()
    assert set(decision.review) == {"A", "B"}


def test_rivals_that_cannot_be_one_person_are_ambiguous_within_the_margin() -> None:
    rivals = person_of("A", MARGA._replace(suffix="JR")), person_of(
        "B", MARGA._replace(suffix="SR")
    )
    decision = _decide(MARGA, *rivals)
    assert (decision.outcome, decision.mpi_id) == (Outcome.REVIEW, None)
    assert (decision.reason, set(decision.review)) == ("ambiguous", {"A", "B"})


def test_a_rival_beyond_the_margin_is_left_to_a_steward() -> None:
    model = replace(MODEL, thresholds=replace(LIMITS, margin=0.0))
    rivals = [
        person_of("A", MARGA._replace(suffix="JR")),
        person_of("B", MARGA._replace(suffix="SR")),
    ]
    decision = decide(MARGA, None, rivals, (), model, SIZE)
    assert (decision.outcome, decision.mpi_id) == (Outcome.LINK, "A")
    assert (decision.merge, decision.review) == ((), ("A", "B"))


def test_an_impossible_pair_of_members_keeps_two_persons_apart() -> None:
    strict = replace(MODEL, thresholds=replace(LIMITS, impossible=LIMITS.link + 100))
    persons = [person_of("A", BY_NUMBER), person_of("B", BY_BIRTH)]
    decision = decide(MARGA, None, persons, (), strict, SIZE)
    assert decision.merge == ()
    assert set(decision.review) == {"A", "B"}


def test_a_person_that_the_arriving_record_makes_certain_is_merged_too() -> None:
    """B alone is not certain of A; the arriving record, of A by its number, brings the surname that B has."""
    known = BY_NUMBER._replace(dob=MARGA.dob)
    married = MARGA._replace(family=("KELLER",), ssn="", ssn_last4="", emails=())
    arriving = BY_NUMBER._replace(family=married.family, phones=MARGA.phones)
    persons = [person_of("A", known), person_of("B", married)]
    model = replace(MODEL, thresholds=replace(LIMITS, link=_weight(arriving, married) + 0.1))
    assert _weight(married, known) < model.thresholds.link < _weight(arriving, known)
    decision = decide(arriving, None, persons, (), model, SIZE)
    assert (decision.outcome, decision.mpi_id) == (Outcome.LINK, "A")
    assert decision.merge == ("B",)


MISREAD = MARGA._replace(given=("XOTRV",))


def test_a_name_that_is_none_parts_no_persons_of_whom_one_record_has_number_and_name() -> None:
    decision = _decide(MARGA, person_of("A", BY_BIRTH), person_of("B", MISREAD))
    assert {decision.mpi_id, *decision.merge} == {"A", "B"}


def test_two_names_in_use_part_twins_of_whom_one_carries_the_number_of_the_other() -> None:
    twin = MARGA._replace(given=("OLIVIA",))
    decision = _decide(MARGA, person_of("A", BY_BIRTH), person_of("B", twin))
    assert decision.merge == ()
    assert {*decision.review} == {"A", "B"}


def test_who_has_no_middle_name_does_not_make_two_of_other_middle_initials_one() -> None:
    here, there = MARGA._replace(middle=("S",), emails=()), BY_BIRTH._replace(middle=("J",))
    homes = here._replace(phones=()), there._replace(phones=(), emails=("MV@EXAMPLE.COM",))
    silent = MARGA._replace(emails=("MV@EXAMPLE.COM",))
    assert _decide(silent, person_of("A", homes[0]), person_of("B", homes[1])).merge == ()
    alike = homes[1]._replace(middle=("S",))
    assert _decide(silent, person_of("A", homes[0]), person_of("B", alike)).merge


def _weight(record: StandardRecord, other: StandardRecord) -> float:
    return explain_person(record, person_of("A", other), MODEL, SIZE).match_weight


def test_the_order_of_the_candidates_changes_nothing() -> None:
    persons = person_of("A", BY_NUMBER), person_of("B", BY_BIRTH), person_of("C", OTTO)
    assert _decide(MARGA, *persons) == _decide(MARGA, *reversed(persons))


def test_the_rows_sum_to_the_weight_and_name_their_record() -> None:
    person = person_of("A", BY_NUMBER._replace(given=("PEGGY",)), BY_BIRTH)
    seen = explain_person(MARGA, person, MODEL, SIZE)
    assert math.fsum(row.weight for row in seen.rows) == seen.match_weight
    by_trait = {row.trait: row for row in seen.rows if row.kind == "comparison"}
    assert by_trait["ssn"].record == ("lab", "A1")
    assert by_trait["dob"].record == ("lab", "A2")
    assert by_trait["given"].level == "exact"
    assert "email" in by_trait
    assert "address" not in by_trait


def test_one_of_many_values_agrees_with_less_weight() -> None:
    few = person_of("A", MARGA)
    phones = [MARGA._replace(phones=(f"+1302555{n:04}",)) for n in range(5)]
    many = person_of("B", MARGA, *phones)
    one, other = (
        next(r.weight for r in explain_person(MARGA, p, MODEL, SIZE).rows if r.trait == "phone")
        for p in (few, many)
    )
    assert 0 <= other < one


def test_grades_follow_the_thresholds() -> None:
    weights = (LIMITS.link, LIMITS.review, LIMITS.possible, LIMITS.possible - 1)
    assert [grade_of(weight, MODEL) for weight in weights] == list(Grade)


@pytest.mark.parametrize(("weight", "expected"), [(0, 0.5), (1, 2 / 3), (-1, 1 / 3), (-2000, 0)])
def test_confidence_is_the_probability_of_log_odds(weight: float, expected: float) -> None:
    assert confidence_of(weight) == pytest.approx(expected)


def test_a_full_record_recognises_itself_and_a_name_does_not() -> None:
    assert self_weight(MARGA, MODEL, 0) >= LIMITS.link
    assert self_weight(StandardRecord(given=("ANNA",)), MODEL, 0) < LIMITS.link


def test_who_might_be_anybody_of_a_catchment_is_asked_about_but_never_linked() -> None:
    david = OTTO._replace(given=("DAVID",), family=("MILLER",))
    known = person_of("A", david._replace(dob="1984-11-12"))
    asked = _decide(david, known)
    best = asked.best
    assert best is not None
    assert best.weight < LIMITS.review <= best.question
    assert (asked.outcome, asked.review, asked.reason) == (Outcome.REVIEW, ("A",), "uncertain")
    crowded = replace(MODEL, thresholds=replace(LIMITS, review=best.question + 1))
    assert decide(david, record_key("me"), [known], (), crowded, SIZE).outcome is Outcome.NEW


def test_where_something_else_agrees_there_is_no_catchment_to_reckon_with() -> None:
    best = _decide(MARGA, person_of("A", MARGA)).best
    assert best is not None
    assert best.question == best.weight
