"""Pairs compared a second on one thread, beside recordlinkage on the same pairs."""

from __future__ import annotations

import csv
from pathlib import Path
from time import perf_counter

from bench.context import Run
from bench.peer import MISSING, Peer, peer
from bench.results import Figure, Table, at_least, more, times
from bench.statistics import Spread
from mpi.demo.population import Population
from mpi.domain.registration import read_flat
from mpi.matching.comparison import TRAITS, compare
from mpi.matching.record import StandardRecord
from mpi.matching.standardize import standardize

_GOAL = 4.0
_SEED = 11
_RECORDS = 2_000
_WINDOWS = (20, 200)
_COLUMNS = "given family middle street city dob sex ssn zip phone".split()


def table(run: Run) -> Table:
    """Records sorted by name; each is compared with those that follow it, as a query with its candidates."""
    records = _records(_RECORDS // 2 if run.sizes.quick else _RECORDS)
    file = run.folder / "pairs.csv"
    _write(file, records)
    figures = []
    for window in _WINDOWS:
        with run.share(f"pairs: {window} candidates", 4 * run.sizes.rounds):
            if run.peers is None:
                ours = [_compare(records, window) for _ in range(run.sizes.rounds)]
                figures.append(_figure(window, ours, []))
            else:
                with peer(run.peers, "recordlinkage_peer.py") as rival:
                    rival.ask({"file": str(file), "window": window})
                    figures.append(_figure(window, *_rounds(run, records, window, rival)))
    notes = [
        f"Ours compares all {len(TRAITS)} traits in graded levels; recordlinkage 0.16 compares ten: Jaro–Winkler on "
        f"{', '.join(_COLUMNS[:5])}, equality on {', '.join(_COLUMNS[5:])}. Reading and cleaning stay outside on "
        "both sides.",
        "" if run.peers else MISSING,
    ]
    return Table(
        "pairs",
        "Pairs compared, one thread",
        tuple(figures),
        {"records": len(records), "rounds": run.sizes.rounds},
        tuple(filter(None, notes)),
    )


def _rounds(
    run: Run, records: list[StandardRecord], window: int, rival: Peer
) -> tuple[list[float], list[float]]:
    ours, theirs = [], []
    for _ in range(run.sizes.rounds):
        ours.append(_compare(records, window))
        answer = rival.ask({})
        theirs.append(answer["pairs"] / answer["seconds"])
    return ours, theirs


def _compare(records: list[StandardRecord], window: int) -> float:
    """Pairs per second of one round."""
    pairs = 0
    started = perf_counter()
    for place, record in enumerate(records):
        others = records[place + 1 : place + 1 + window]
        compare(record, others)
        pairs += len(others)
    return pairs / (perf_counter() - started)


def _figure(window: int, ours: list[float], theirs: list[float]) -> Figure:
    what, mine = f"one record with {window} candidates", Spread.of(ours)
    if not theirs:
        return Figure(what, "pairs/s", mine)
    rival = Spread.of(theirs)
    ratio = more(mine, rival)
    return Figure(
        what, "pairs/s", mine, "recordlinkage", rival, times(ratio), at_least(ratio, _GOAL)
    )


def _records(count: int) -> list[StandardRecord]:
    rows = (row for row, _ in Population(count, _SEED).rows())
    read = (read_flat(row)[0].demographics for row in rows)
    records = [standardize(demographics)[0] for demographics in read]
    return sorted(records, key=lambda record: (record.family, record.given))


def _write(file: Path, records: list[StandardRecord]) -> None:
    """The cleaned traits as the rival reads them."""
    with file.open("w", encoding="utf-8", newline="") as out:
        table = csv.writer(out)
        table.writerow(_COLUMNS)
        for record in records:
            home = record.addresses[0] if record.addresses else None
            table.writerow(
                (
                    " ".join(record.given),
                    " ".join(record.family),
                    " ".join(record.middle),
                    f"{home.house} {home.street}" if home else "",
                    home.city if home else "",
                    record.dob,
                    record.sex,
                    record.ssn,
                    home.zip if home else "",
                    record.phones[0] if record.phones else "",
                )
            )
