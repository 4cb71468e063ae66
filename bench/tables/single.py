"""One new record against everything that is known, beside Splink on the same records."""

from __future__ import annotations

from itertools import islice
from statistics import median

import orjson

from bench.context import NAMED, Run
from bench.generator import Order, generate
from bench.peer import MISSING, Peer, peer
from bench.queries import Patient, altered
from bench.results import Figure, Table, at_least, faster, times
from bench.statistics import Spread

_GOALS, _GOAL_RECORDS = {"sqlite": 200.0, "mongodb": 100.0}, 1_000_000
_ASKED_EACH, _SECONDS = 500, 0.25
"""Records of a round and its time: more of them than are asked, for none is asked twice."""
_ASKED_OF_SPLINK = 3
_WARMING, _WARMING_CONNECTIONS = {"sqlite": 0, "mongodb": 20}, 8
"""Seconds of queries before the rounds: a mongod that was just started reads from disk what it is asked for."""
_MOST_A_SECOND = 1_000
"""Queries made up for each of these seconds: more than are answered."""
_IDENTITY = "source || '|' || source_id"


def table(run: Run) -> Table:
    """In each round some records over HTTP, one after the other, then some by Splink's ``predict_between``."""
    index = run.index()
    asked, warming = (run.sizes.rounds + 1) * _ASKED_EACH, _WARMING[run.sizes.store]
    count = asked + warming * _MOST_A_SECOND
    patients = list(islice(altered(index.population, index.records), count))
    bodies = run.folder / "single.ndjson"
    lines = (orjson.dumps({"patient_data": patient, "enroll": False}) for patient in patients)
    bodies.write_bytes(b"\n".join(lines) + b"\n")
    with run.service(index) as service:
        if warming:
            run.step(f"one new record: {warming} s to fill the cache of the server")
            order = Order(
                service.port, "/mpi/match", str(bodies), asked, _WARMING_CONNECTIONS, warming
            )
            generate(order)
        if run.peers is None:
            rounds = range(run.sizes.rounds + 1)
            ours = [_ask(service.port, str(bodies), number) for number in rounds]
            theirs: list[float] = []
        else:
            with peer(run.peers, "splink_peer.py") as splink:
                run.step(f"one new record: Splink reads {index.records:,} records")
                file = str(index.population)
                splink.ask({"do": "open", "file": file, "identity": _IDENTITY})
                ours, theirs = _rounds(run, service.port, str(bodies), patients, splink)
    # The first round warms both up.
    mine = Spread.of(ours[1:])
    rival = Spread.of(theirs[1:]) if theirs else None
    ratio = faster(mine, rival) if rival else None
    figure = Figure(
        what=f"one new record against {index.records:,} in {NAMED[run.sizes.store]}",
        unit="ms",
        ours=mine,
        beside="Splink 5 predict_between" if rival else "",
        theirs=rival,
        against=times(ratio) if ratio else "",
        goal=(
            at_least(ratio, _GOALS[run.sizes.store])
            if ratio and index.records >= _GOAL_RECORDS
            else None
        ),
    )
    notes = [
        "Ours is the whole request over HTTP on the durable index; Splink's time starts with the record registered in "
        f"DuckDB and ends with the pairs fetched. Each answers one after the other, ours for {_SECONDS:g} s a round, "
        f"Splink {_ASKED_OF_SPLINK} times; the median counts. It was trained on a sample beforehand.",
        (
            f"Queries of {warming} s went before, so that the server has in its cache what it is asked for."
            if warming
            else ""
        ),
        index.age_note,
        "" if run.peers else MISSING,
    ]
    return Table(
        "single",
        f"One new record in {NAMED[run.sizes.store]}",
        (figure,),
        {"records": index.records, "rounds": run.sizes.rounds, "store": run.sizes.store},
        tuple(filter(None, notes)),
    )


def _rounds(
    run: Run, port: int, bodies: str, patients: list[Patient], splink: Peer
) -> tuple[list[float], list[float]]:
    ours, theirs = [], []
    for number in range(run.sizes.rounds + 1):
        with run.share(f"one new record: round {number}", 2):
            ours.append(_ask(port, bodies, number))
            some = patients[number * _ASKED_EACH :][:_ASKED_OF_SPLINK]
            answers = [splink.ask({"do": "query", "patient": patient}) for patient in some]
            theirs.append(median(answer["seconds"] for answer in answers) * 1000)
    return ours, theirs


def _ask(port: int, bodies: str, number: int) -> float:
    """The median time of queries, one after the other, in milliseconds."""
    order = Order(port, "/mpi/match", bodies, number * _ASKED_EACH, 1, _SECONDS)
    found = generate(order).latencies
    if len(found) > _ASKED_EACH:
        raise RuntimeError("records were asked twice, and answered from memory")
    return median(found)
