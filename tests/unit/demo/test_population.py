"""The population is reproducible, true to its own truth, and as awkward as real patients are."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from functools import cache
from itertools import islice
from typing import Any

import pytest

from mpi.demo.noise import PROFILES, NoiseProfile
from mpi.demo.population import Population
from mpi.demo.registrations import COLUMNS, Row, Truth
from mpi.demo.tables import cities
from mpi.errors import InvalidInput

Registrations = list[tuple[Row, Truth]]


@cache
def made(rows: int = 6000, seed: int = 3, profile: str = "normal") -> Registrations:
    return list(Population(rows, seed, profile).rows())


def of_people(registrations: Registrations) -> dict[str, Registrations]:
    people: dict[str, Registrations] = defaultdict(list)
    for row, truth in registrations:
        people[truth.entity_id].append((row, truth))
    return people


def tagged(registrations: Registrations, tag: str) -> Registrations:
    return [(row, truth) for row, truth in registrations if tag in truth.tags]


def test_same_arguments_make_the_same_population() -> None:
    assert made(500, 9) == list(Population(500, 9).rows())


def test_another_seed_makes_other_people() -> None:
    ours, theirs = made(300, 1), made(300, 2)
    assert {row["last_name"] for row, _ in ours} != {row["last_name"] for row, _ in theirs}


def test_reading_in_pieces_changes_nothing() -> None:
    stream = Population(900, 5).rows()
    pieces: Registrations = []
    while piece := list(islice(stream, 37)):
        pieces += piece
    assert made(900, 5) == pieces


def test_more_workers_make_the_same_population() -> None:
    assert made(4000, 4) == list(Population(4000, 4).rows(workers=2))


def test_a_smaller_population_is_part_of_a_larger_one() -> None:
    small = {truth.rec_id: row for row, truth in made(1000)}
    large = {truth.rec_id: row for row, truth in made(6000)}
    assert all(large[rec_id] == row for rec_id, row in small.items())


@pytest.mark.parametrize("rows", [1, 2, 3, 17, 2500])
def test_there_are_as_many_rows_as_asked_for(rows: int) -> None:
    population = Population(rows)
    assert rows == len(population) == sum(1 for _ in population.rows())


@pytest.mark.parametrize(
    ("mean", "low", "high"), [(1.0, 0.99, 1.001), (1.6, 1.5, 1.7), (3, 2.6, 3.1)]
)
def test_people_register_as_often_as_asked_for(mean: float, low: float, high: float) -> None:
    registrations = list(Population(5000, 8, mean_registrations=mean).rows())
    assert low <= len(registrations) / len(of_people(registrations)) <= high


def test_registrations_of_one_person_do_not_arrive_together() -> None:
    neighbours = sum(
        one.entity_id == other.entity_id
        for (_, one), (_, other) in zip(made()[2:], made()[3:], strict=False)
    )
    assert neighbours < 20


def test_rows_have_the_flat_columns_and_a_unique_source_id() -> None:
    assert all(list(row) == COLUMNS for row, _ in made())
    assert len(made()) == len({(row["source"], row["source_id"]) for row, _ in made()})


def test_truth_names_the_registration_it_belongs_to() -> None:
    assert all(
        (row["source"], row["source_id"]) == (truth.source, truth.source_id)
        and f"{row['source']}|{row['source_id']}" == truth.rec_id
        for row, truth in made()
    )


def test_a_person_lives_in_one_household_and_has_one_birthday() -> None:
    for registrations in of_people(made(profile="clean")).values():
        assert len({truth.household_id for _, truth in registrations}) == 1
        assert len({_iso(row["dob"]) for row, _ in registrations}) == 1


def _iso(dob: str) -> str:
    if "/" in dob:
        month, day, year = dob.split("/")
        return f"{year}{month}{day}"
    return dob.replace("-", "")


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("seed", [0, 1, 77, 2**63 - 1])
def test_john_smith_comes_first(seed: int, profile: str) -> None:
    rows = [r for r, t in Population(50, seed, profile).rows() if t.entity_id == "E000000000-00"]
    first, second = rows
    assert first == next(Population(50, seed, profile).rows())[0]
    assert first["first_name"] == "John"
    assert (first["last_name"], second["last_name"]) == ("Smith", "Smith")
    assert (first["dob"], second["dob"]) == ("1980-01-01", "01/01/1980")
    assert (first["source"], second["source"]) == ("HOSP-A", "HOSP-B")
    assert first["sex"] == "M"
    assert first["address"] == "123 Main Street"
    assert re.fullmatch(r"\d{3}-\d{2}-\d{4}", first["ssn"])
    assert first["ssn"] != "123-45-6789"


def test_social_security_numbers_are_issuable_and_ones_own() -> None:
    holders: dict[str, set[str]] = defaultdict(set)
    for row, truth in made(profile="clean"):
        if row["ssn"] and row["source"] not in ("LAB-C", "ED-E"):
            holders[row["ssn"].replace("-", "")].add(truth.entity_id)
    assert len(holders) > 1500
    for number, people in holders.items():
        assert re.fullmatch(r"(?!000|666|9)\d{3}(?!00)\d{2}(?!0000)\d{4}", number)
        assert len(people) == 1


def test_a_person_has_one_social_security_number() -> None:
    for registrations in of_people(made(profile="clean")).values():
        last_fours = {row["ssn"][-4:] for row, _ in registrations if row["ssn"]}
        assert len(last_fours) <= 1


def test_addresses_are_consistent_and_phones_have_the_national_form() -> None:
    places = {(city.state, code) for city in cities().items for code in city.zips}
    areas = {code for city in cities().items for code in city.area_codes}
    for row, _ in made(profile="clean"):
        assert (row["state"], row["zip"][:5]) in places
        digits = re.sub(r"\D", "", row["phone"])[-10:]
        if digits:
            assert digits[:3] in areas
            assert re.fullmatch(r"[2-9](?!11)\d\d\d{4}", digits[3:])
            assert digits[3:6] != "555"


def test_frequent_names_are_frequent() -> None:
    surnames = Counter(row["last_name"].upper() for row, _ in made(15_000))
    assert surnames["SMITH"] > 5 * surnames["GRAHAM"] > 0
    assert 0.004 < surnames["SMITH"] / 15_000 < 0.02


@pytest.mark.parametrize(
    "tag",
    "twin generation newborn baby_name renamed moved nickname native_script compound_surname "
    "swapped_names placeholder deceased typo_given typo_family typo_dob typo_ssn typo_address "
    "typo_phone swapped_dates family_ssn stale_address namesake".split(),
)
def test_every_difficulty_occurs(tag: str) -> None:
    assert tagged(made(15_000), tag)


def test_a_clean_population_has_no_slips() -> None:
    slips = {tag for _, truth in made(profile="clean") for tag in truth.tags}
    assert not [
        tag
        for tag in slips
        if tag.startswith(("typo", "missing", "swapped", "wrong", "placeholder", "nickname"))
    ]


def test_a_dirty_population_has_more_slips_and_a_sparse_one_less_data() -> None:
    def slips(profile: str) -> int:
        return sum(t.startswith("typo") for _, truth in made(profile=profile) for t in truth.tags)

    def filled(profile: str) -> int:
        return sum(bool(value) for row, _ in made(profile=profile) for value in row.values())

    assert slips("dirty") > 2 * slips("normal")
    assert filled("sparse") < 0.8 * filled("normal")


def test_newborns_have_no_name_at_first_and_one_later() -> None:
    babies = tagged(made(15_000), "baby_name")
    assert all(re.match(r"(?i)baby|newborn|infant|b[bg]", row["first_name"]) for row, _ in babies)
    people = of_people(tagged(made(15_000), "newborn"))
    named = [p for p in people.values() if any("baby_name" not in t.tags for _, t in p)]
    unnamed = [p for p in people.values() if all("baby_name" in t.tags for _, t in p)]
    assert named
    assert unnamed
    assert not any(row["ssn"] for row, truth in babies if "family_ssn" not in truth.tags)


def test_a_wedding_changes_the_surname_and_may_leave_the_maiden_name() -> None:
    people = of_people(tagged(made(15_000, profile="clean"), "renamed"))
    surnames = [{row["last_name"].upper() for row, _ in p} for p in people.values()]
    assert sum(len(names) > 1 for names in surnames) > 50
    maidens = [row for p in people.values() for row, _ in p if row["maiden_name"]]
    assert maidens
    assert all(row["maiden_name"] != row["last_name"] for row in maidens)


def test_nobody_registers_before_birth() -> None:
    for row, _ in made(profile="clean"):
        assert _iso(row["dob"]) <= row["recorded_at"][:10].replace("-", "")


def test_facilities_have_their_habits() -> None:
    rows: dict[str, list[Row]] = defaultdict(list)
    for row, _ in made(15_000):
        rows[row["source"]].append(row)
    assert any("/" in row["dob"] for row in rows["HOSP-B"])
    assert all(len(row["ssn"]) in (0, 4) for row in rows["LAB-C"])
    assert all(row["last_name"] == row["last_name"].upper() for row in rows["LAB-C"])
    assert any(re.fullmatch(r"\d{8}", row["dob"]) for row in rows["LAB-C"])
    assert any(row["ssn"] == "999-99-9999" for row in rows["ED-E"])
    assert any(row["phone"] == "555-555-5555" for row in rows["ED-E"])
    assert any(row["dob"] == "1900-01-01" for row in rows["ED-E"])
    assert any(row["address"] == "UNKNOWN" for row in rows["ED-E"])
    assert not any(row["ssn"] for row in rows["URGENT-G"])
    assert any(re.search(r" [A-Z]$", row["first_name"]) for row in rows["HOSP-B"])
    assert any(row["last_name"].endswith(" JR") for row in rows["PAYER-F"])


def test_a_profile_of_ones_own_is_used() -> None:
    sexless = NoiseProfile(missing_sex=1.0)
    registered = Population(200, 1, sexless).rows()
    assert {t.entity_id for row, t in registered if row["sex"]} == {"E000000000-00"}


@pytest.mark.parametrize(
    "arguments",
    [
        {"rows": 0},
        {"rows": 10**9},
        {"rows": 5, "seed": -1},
        {"rows": 5, "profile": "filthy"},
        {"rows": 5, "mean_registrations": 0.5},
    ],
)
def test_arguments_out_of_range_are_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        Population(**arguments)
