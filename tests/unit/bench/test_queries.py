from pathlib import Path

import orjson

from bench.queries import LEAST_FIELDS, UNKNOWN_SEED, alter, traits, write_queries
from mpi.demo.draw import Draw
from mpi.demo.files import write
from mpi.demo.population import Population

PATIENT = {"first_name": "Maria", "last_name": "Okafor", "ssn": "123-45-6780", "mrn": "17"}


def test_queries_are_distinct_rich_and_enroll_nothing(tmp_path: Path) -> None:
    population, bodies = tmp_path / "population.csv", tmp_path / "bodies.ndjson"
    write(Population(500, 1), population, tmp_path / "truth.csv")
    write_queries(bodies, population, records=500, count=200)
    lines = bodies.read_bytes().splitlines()
    assert len(set(lines)) == len(lines) == 200
    for line in lines:
        body = orjson.loads(line)
        assert body["enroll"] is False
        assert len(body["patient_data"]) >= LEAST_FIELDS
        assert not {"source", "source_id"} & body.keys()


def test_unknown_people_come_from_another_seed_than_stored_ones(tmp_path: Path) -> None:
    population, bodies = tmp_path / "population.csv", tmp_path / "bodies.ndjson"
    write(Population(500, 1), population, tmp_path / "truth.csv")
    write_queries(bodies, population, records=500, count=100)
    strangers = [
        {**traits(row)}
        for row, _ in Population(1_000, UNKNOWN_SEED).rows()
        if len(traits(row)) > 11
    ]
    asked = [orjson.loads(line)["patient_data"] for line in bodies.read_bytes().splitlines()]
    assert asked[1::2] == strangers[:50]
    assert not any(patient in strangers for patient in asked[::2])


def test_an_altered_copy_has_slips_and_a_number_of_its_own() -> None:
    copies = [alter(Draw(seed), PATIENT) for seed in range(50)]
    assert all(copy.keys() == PATIENT.keys() for copy in copies)
    assert all(copy["mrn"] != PATIENT["mrn"] for copy in copies)
    slips = [sum(copy[name] != PATIENT[name] for name in PATIENT) - 1 for copy in copies]
    assert {1, 2} <= set(slips) <= {0, 1, 2, 3}


def test_a_slip_in_a_number_keeps_its_form() -> None:
    copies = [alter(Draw(seed), {"ssn": PATIENT["ssn"]})["ssn"] for seed in range(50)]
    assert all(len(copy) == 11 and copy[3] == copy[6] == "-" for copy in copies)
    assert set(copies) != {PATIENT["ssn"]}
