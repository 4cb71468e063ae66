"""Pairs compared a second on one thread, beside recordlinkage on the same pairs."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from pathlib import Path
from time import perf_counter

import numpy as np

from bench.context import Run
from bench.peer import MISSING, Peer, peer
from bench.results import Figure, Table, at_least, more, times
from bench.statistics import Spread
from mpi.demo.population import Population
from mpi.domain.registration import read_flat
from mpi.matching.comparison import TRAITS, compare
from mpi.matching.model import Places
from mpi.matching.pairs import Columns
from mpi.matching.record import StandardRecord
from mpi.matching.standardize import standardize

_GOAL = 4.0
_SEED = 11
_PAIRS = 400_000
_WINDOWS = (20, 200)
_ALONE = 2_000  # records that are compared with their window one after the other, as queries are
_COLUMNS = "given family middle street city dob sex ssn zip phone".split()


def table(run: Run) -> Table:
    """Records sorted by name; each makes a pair with each of those that follow it, up to a window."""
    pairs = _PAIRS // 10 if run.sizes.quick else _PAIRS
    run.step("pairs: standardising records")
    records = _records(pairs // min(_WINDOWS))
    figures = []
    for window in _WINDOWS:
        some = records[:: window // min(_WINDOWS)]
        with run.share(f"pairs: {window} neighbours", 4 * run.sizes.rounds):
            figures += _beside(run, some, window)
    few = records[:: max(1, len(records) // _ALONE)]
    alone = [_rate(lambda: _queries(few, min(_WINDOWS))) for _ in range(run.sizes.rounds)]
    coded = [len(records) / _seconds(lambda: Columns(records)) for _ in range(run.sizes.rounds)]
    figures += [
        Figure(
            f"one record with {min(_WINDOWS)} candidates, as in a query",
            "pairs/s",
            Spread.of(alone),
        ),
        Figure("records made ready to be compared in bulk", "records/s", Spread.of(coded)),
    ]
    notes = [
        f"Ours compares all {len(TRAITS)} traits in graded levels; recordlinkage compares ten: Jaro–Winkler on "
        f"{', '.join(_COLUMNS[:5])}, equality on {', '.join(_COLUMNS[5:])}. Both are given the same pairs; reading, "
        "cleaning and putting in columns stay outside on both sides.",
        "" if run.peers else MISSING,
    ]
    return Table(
        "pairs",
        "Pairs compared, one thread",
        tuple(figures),
        {"records": len(records), "rounds": run.sizes.rounds},
        tuple(filter(None, notes)),
    )


def _beside(run: Run, records: list[StandardRecord], window: int) -> list[Figure]:
    """Rounds of ours and of the rival in turn."""
    file = run.folder / f"pairs-{window}.csv"
    _write(file, records)
    columns = Columns(records)
    left, right = _window(len(records), window)

    def bulk() -> int:
        return len(columns.compare(left, right))

    if run.peers is None:
        return [_figure(window, len(left), [_rate(bulk) for _ in range(run.sizes.rounds)], [])]
    ours, theirs = [], []
    with peer(run.peers, "recordlinkage_peer.py") as rival:
        if rival.ask({"file": str(file), "window": window})["pairs"] != len(left):
            raise RuntimeError("the rival was given other pairs")
        for _ in range(run.sizes.rounds):
            ours.append(_rate(bulk))
            theirs.append(_rival_rate(rival))
    return [_figure(window, len(left), ours, theirs)]


def _rival_rate(rival: Peer) -> float:
    answer = rival.ask({})
    rate: float = answer["pairs"] / answer["seconds"]
    return rate


def _window(records: int, window: int) -> tuple[Places, Places]:
    """Every record with the ``window`` records that follow it."""
    left = np.repeat(np.arange(records), window)
    right = left + np.tile(np.arange(1, window + 1), records)
    inside = right < records
    return left[inside], right[inside]


def _queries(records: Sequence[StandardRecord], window: int) -> int:
    pairs = 0
    for place, record in enumerate(records):
        pairs += len(compare(record, records[place + 1 : place + 1 + window]))
    return pairs


def _rate(work: Callable[[], int]) -> float:
    """Pairs per second of work that answers how many it compared."""
    started = perf_counter()
    pairs = work()
    return pairs / (perf_counter() - started)


def _seconds(work: Callable[[], object]) -> float:
    started = perf_counter()
    work()
    return perf_counter() - started


def _figure(window: int, pairs: int, ours: list[float], theirs: list[float]) -> Figure:
    what, mine = f"{pairs:,} pairs, {window} neighbours each", Spread.of(ours)
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
