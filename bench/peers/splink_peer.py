"""Splink 5 on DuckDB, with the settings its documentation recommends: one JSON answer for each JSON line.

Runs in the peers' environment, apart from the service. Questions: ``open`` a file of records, ``query`` one new record
against them, ``dedupe`` them; training sees a sample at most, so that an index of millions opens in seconds. ``bulk``
learns from all.
"""

from __future__ import annotations

import json
import sys
from time import perf_counter
from typing import Any

import duckdb
import splink.comparison_library as cl
from splink import DuckDBAPI, Linker, SettingsCreator, block_on

_SAMPLE = 50_000
# Said rather than sniffed: a quoted comma far down a file is missed otherwise.
_AS_WRITTEN = "header=true, delim=',', quote='\"', escape='\"', all_varchar=true"
_THRESHOLD = 0.95
# Our column, and how a value of it is cleaned. Placeholders are cleaned as well, or they would link everybody.
_CLEANED = {
    "first_name": "nullif(upper(trim(first_name)), 'UNKNOWN')",
    "middle_name": "nullif(upper(trim(middle_name)), '')",
    "last_name": "upper(trim(last_name))",
    "dob": "strftime(coalesce(try_strptime(dob, '%Y-%m-%d'), try_strptime(dob, '%m/%d/%Y'),"
    " try_strptime(dob, '%Y%m%d')), '%Y-%m-%d')",
    "sex": "upper(left(sex, 1))",
    "ssn": "nullif(nullif(regexp_replace(ssn, '[^0-9]', '', 'g'), ''), '999999999')",
    "phone": "nullif(nullif(right(regexp_replace(phone, '[^0-9]', '', 'g'), 10), ''), '5555555555')",
    "email": "lower(trim(email))",
    "address": "nullif(nullif(upper(trim(address)), 'UNKNOWN'), '')",
    "city": "upper(trim(city))",
    "zip": "nullif(left(zip, 5), '00000')",
}
_COMPARISONS: dict[str, Any] = {
    "first_name": lambda: cl.NameComparison("first_name").configure(
        term_frequency_adjustments=True
    ),
    "middle_name": lambda: cl.JaroWinklerAtThresholds("middle_name", [0.9]),
    "last_name": lambda: cl.NameComparison("last_name").configure(term_frequency_adjustments=True),
    "dob": lambda: cl.DateOfBirthComparison("dob", input_is_string=True),
    "sex": lambda: cl.ExactMatch("sex"),
    "ssn": lambda: cl.DamerauLevenshteinAtThresholds("ssn", [1, 2]),
    "phone": lambda: cl.DamerauLevenshteinAtThresholds("phone", [1]),
    "email": lambda: cl.EmailComparison("email"),
    "address": lambda: cl.JaroWinklerAtThresholds("address", [0.92, 0.8]).configure(
        term_frequency_adjustments=True
    ),
    "city": lambda: cl.ExactMatch("city"),
    "zip": lambda: cl.DamerauLevenshteinAtThresholds("zip", [1]).configure(
        term_frequency_adjustments=True
    ),
}
_BLOCKS = (
    ("first_name", "last_name"),
    ("dob", "last_name"),
    ("dob", "first_name"),
    ("dob", "zip"),
    ("ssn",),
    ("phone",),
    ("email",),
    ("address", "last_name"),
)
_SWAPPED = "l.first_name = r.last_name and l.last_name = r.first_name"
_FREQUENT = ("first_name", "last_name", "address", "zip")


class Splink:
    """A DuckDB database with the records of one question."""

    def __init__(self) -> None:
        self._connection = duckdb.connect()
        self._api = DuckDBAPI(self._connection)
        self._linker: Any = None
        self._records: Any = None
        self._columns: list[str] = []
        self._asked = 0

    def open(self, file: str, identity: str) -> dict[str, Any]:
        """Read the records to link; ``identity`` is an SQL expression that names each."""
        rows = self._read(file, identity)
        settings = self._trained_on_sample(rows)
        self._records = self._api.register("records", table_name="all_records")
        self._linker = Linker(self._records, settings, log_level=None)
        for name in _FREQUENT:
            if name in self._columns:
                self._linker.table_management.compute_tf_table(name)
        return {"rows": rows}

    def bulk(self, file: str, identity: str, pairs: str) -> dict[str, Any]:
        """Learn from all records and score all their pairs, which are written as CSV."""
        self._read(file, identity)
        started = perf_counter()
        linker = self._trained("records", "all_records")
        learned = perf_counter()
        found = linker.inference.predict()
        ended = perf_counter()
        named = f"SELECT unique_id_l, unique_id_r FROM {found.physical_name}"
        copy = f"COPY ({named}) TO '{pairs}' (HEADER false)"
        ((written,),) = self._connection.execute(copy).fetchall()
        return {
            "pairs": written,
            "learning": learned - started,
            "scoring": ended - learned,
        }

    def _read(self, file: str, identity: str) -> int:
        self._connection.execute(f"CREATE TABLE raw AS FROM read_csv('{file}', {_AS_WRITTEN})")
        present = {row[0] for row in self._connection.execute("DESCRIBE raw").fetchall()}
        self._columns = [name for name in _CLEANED if name in present]
        self._connection.execute(
            f"CREATE TABLE records AS SELECT {identity} AS unique_id, {self._cleaned()} FROM raw"
        )
        # All is fetched: an unfinished result keeps the connection from other work.
        ((rows,),) = self._connection.execute("SELECT count(*) FROM records").fetchall()
        return int(rows)

    def _cleaned(self) -> str:
        return ", ".join(f"{_CLEANED[name]} AS {name}" for name in self._columns)

    def _trained_on_sample(self, rows: int) -> dict[str, Any]:
        self._connection.execute(
            f"CREATE TABLE sample AS SELECT * FROM records ORDER BY hash(unique_id) LIMIT {_SAMPLE}"
        )
        settings: dict[str, Any] = self._trained("sample", "training").misc.save_model_to_json()
        # The chance that two records match falls as the index grows: people, not pairs, stay the same.
        settings["probability_two_random_records_match"] *= min(1.0, _SAMPLE / max(rows, 1))
        return settings

    def _trained(self, records: str, name: str) -> Any:
        table = self._api.register(records, table_name=name)
        linker = Linker(table, self._settings(), log_level=None)
        training = linker.training
        certain = [block_on("first_name", "last_name", "dob")]
        training.estimate_probability_two_random_records_match(certain, recall=0.7)
        training.estimate_u_using_random_sampling(max_pairs=2_000_000, seed=1)
        for block in (block_on("first_name", "last_name"), block_on("dob")):
            training.estimate_parameters_using_expectation_maximisation(block)
        return linker

    def _settings(self) -> SettingsCreator:
        blocks: list[Any] = [
            block_on(*names) for names in _BLOCKS if set(names) <= set(self._columns)
        ]
        return SettingsCreator(
            link_type="dedupe_only",
            comparisons=[_COMPARISONS[name]() for name in self._columns],
            blocking_rules_to_generate_predictions=[*blocks, _SWAPPED],
            retain_matching_columns=False,
        )

    def query(self, patient: dict[str, str]) -> dict[str, Any]:
        """Link one new record; ``seconds`` count from the registered record to the fetched pairs."""
        self._asked += 1
        values = [patient.get(name) for name in self._columns]
        named = ", ".join(f"? AS {name}" for name in self._columns)
        table = f"asked_{self._asked}"
        self._connection.execute(
            f"CREATE TABLE {table} AS SELECT 'new' AS unique_id, {self._cleaned()} FROM (SELECT {named})",
            values,
        )
        asked = self._api.register(table, table_name=f"new_{self._asked}")
        started = perf_counter()
        found = self._linker.inference.predict_between(
            self._records, asked, threshold_match_probability=_THRESHOLD
        ).as_record_list()
        return {"seconds": perf_counter() - started, "found": len(found)}

    def dedupe(self) -> dict[str, Any]:
        """Link everything that was opened; answers the cluster of every record."""
        started = perf_counter()
        pairs = self._linker.inference.predict(threshold_match_probability=_THRESHOLD)
        clusters = self._linker.clustering.cluster_pairwise_predictions_at_threshold(
            pairs, threshold_match_probability=_THRESHOLD
        ).as_record_list()
        seconds = perf_counter() - started
        return {
            "seconds": seconds,
            "clusters": {row["unique_id"]: row["cluster_id"] for row in clusters},
        }


def main() -> None:
    """Answer questions until the input ends."""
    peer = Splink()
    for line in sys.stdin:
        question = json.loads(line)
        kind = question.pop("do")
        print(json.dumps(getattr(peer, kind)(**question)), flush=True)


if __name__ == "__main__":
    main()
