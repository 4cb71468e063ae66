"""An index as something to learn from: its records, what stewards decided, and lists of judged pairs."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import islice, product
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mpi.bulk.rows import open_rows
from mpi.domain.identity import AssertionKind, Event, EventKind
from mpi.domain.record import RecordKey
from mpi.errors import InvalidInput
from mpi.evaluation.rehearsal import drawn
from mpi.evaluation.trial import Step
from mpi.matching.comparison import informative
from mpi.matching.expectation import UnlabelledPairs
from mpi.matching.model import Model
from mpi.matching.pairing import ComparedPairs, blocked_pairs, compare_pairs
from mpi.matching.pairs import Columns
from mpi.matching.record import StandardRecord
from mpi.matching.training import LabelledPairs
from mpi.ports import IndexStore
from mpi.service.history import all_events, history_of, replayed

RANDOM_PAIRS = 200_000
WHEN = "when"
COLUMNS = ("source_a", "source_id_a", "source_b", "source_id_b", "same")

_ANSWERS = {"true": True, "same": True, "yes": True, "1": True,
            "false": False, "not-same": False, "no": False, "0": False}  # fmt: skip
_TOLD_EACH = 1_000
_MOST_PAIRS = 100  # of one decision: a large person shall not outweigh all others

Pair = tuple[RecordKey, RecordKey]
Records = dict[RecordKey, StandardRecord]
Labels = dict[Pair, bool]
"""Whether two records are of one person; every pair once, in the order of their ids."""


async def records_of(store: IndexStore, most: int, seed: int, step: Step) -> Records:
    """Active records in the order of source and source id: all, or as many at random as ``most`` says.

    The first of that order would be those of a few sources.
    """
    found: Records = {}
    total = min(most, (await store.statistics())["records"])
    async for key in drawn(store, most, seed):
        await _read(store, key, found)
        if len(found) % _TOLD_EACH == 0:
            step("reading", len(found), total)
    return found


async def records_named(store: IndexStore, labels: Labels, step: Step) -> Records:
    """The active records that labels are about, however large the index is."""
    found: Records = {}
    named = dict.fromkeys(key for pair in labels for key in pair)
    for number, key in enumerate(named):
        await _read(store, key, found)
        if number % _TOLD_EACH == 0:
            step("reading", number, len(named))
    return found


async def _read(store: IndexStore, key: RecordKey, found: Records) -> None:
    record = await store.record(key)
    if record is not None and record.mpi_id is not None:  # else deleted, perhaps meanwhile
        found[key] = record.standard


def unlabelled_pairs(
    records: Sequence[StandardRecord], anchor: Model, seed: int, step: Step
) -> UnlabelledPairs:
    """Every pair that shares a blocking key, and as many random ones as u needs."""
    columns = Columns(records)
    pairs = blocked_pairs(records, lambda done: step("comparing", done, len(records)))
    return unlabelled(columns, compare_pairs(columns, *pairs), anchor, seed)


def unlabelled(
    columns: Columns, compared: ComparedPairs, anchor: Model, seed: int
) -> UnlabelledPairs:
    """Pairs of the records in the columns as something to learn from, and random ones of them."""
    records = len(columns)
    chance = np.random.default_rng(seed)
    left, right = chance.integers(0, max(records, 1), (2, RANDOM_PAIRS if records else 0))
    apart = left != right
    random = informative(columns.compare(left[apart], right[apart]))
    rarities = compared.rarities(anchor).sum(axis=1)
    return UnlabelledPairs(compared.levels, rarities, random, records)


def labelled_pairs(labels: Labels, records: Records, model: Model, size: int) -> LabelledPairs:
    """Judged pairs of an index of that size to learn from. Pairs of which a record is gone are left out.

    They are no sample of strangers: what is judged was doubtful.
    """
    known = [(pair, same) for pair, same in labels.items() if records.keys() >= set(pair)]
    place = {key: number for number, key in enumerate(records)}
    left = [place[one] for (one, _), _ in known]
    right = [place[other] for (_, other), _ in known]
    compared = compare_pairs(Columns(list(records.values())), left, right)
    same = np.array([same for _, same in known], dtype=bool)
    return LabelledPairs(
        levels=compared.levels,
        rarities=compared.rarities(model).sum(axis=1),
        same=same,
        strangers=np.zeros_like(same),
        records=size,
        true_pairs=max(1, int(same.sum())),
        unnamed=compared.unnamed,
    )


async def decided(store: IndexStore) -> Labels:
    """What people said of pairs of records: assertions in force, and merges whose records are still together.

    A merge judges every record that came with each that was there at that time; what joined them since was not judged.
    """
    said: Labels = {}
    merges: list[Event] = []
    async for event in all_events(store):
        for lifted in event.lifted:
            said.pop(_pair(lifted.left, lifted.right), None)
        said |= _asserted(event)
        if event.kind is EventKind.MERGED and event.is_human and event.undone_by is None:
            merges.append(event)
    joined: Labels = {}
    for event in merges:
        joined |= dict.fromkeys(await _merged(event, store), True)
    return joined | said


def _asserted(event: Event) -> Labels:
    """What an event says of pairs; of large persons kept apart a part, taken evenly.

    Nothing, if it is a move: the record does not belong there, but those who follow it next are its patient as well.
    """
    if event.kind is EventKind.MOVED:
        return {}
    every = max(1, math.ceil(len(event.asserted) / _MOST_PAIRS))
    return {
        _pair(said.left, said.right): said.kind is AssertionKind.SAME
        for said in event.asserted[::every]
    }


async def _merged(event: Event, store: IndexStore) -> list[Pair]:
    """Every record that came with each that was there, as far as they are together now, whoever holds them."""
    came = {move.key for move in event.moves}
    here: dict[RecordKey, None] = {}
    for target in sorted({move.target for move in event.moves if move.target is not None}):
        before = [e for e in await history_of(store, target) if e.seq < event.seq]
        here |= dict.fromkeys(replayed(before, target)[0])
    owners = {key: await _owner(store, key) for key in (*here, *came)}
    together = (
        _pair(one, other)
        for one, other in product(here, sorted(came))
        if one not in came and owners[one] is not None and owners[one] == owners[other]
    )
    return list(islice(together, _MOST_PAIRS))


async def _owner(store: IndexStore, key: RecordKey) -> str | None:
    record = await store.record(key)
    return None if record is None else record.mpi_id


def _pair(one: RecordKey, other: RecordKey) -> Pair:
    ordered = sorted((one, other), key=lambda key: (key.source, key.source_id))
    return ordered[0], ordered[1]


def judged_pairs(path: Path) -> Labels:
    """A table of pairs with the columns ``COLUMNS``; with a column ``when`` the last answer about a pair counts.

    Raises:
        InvalidInput: a row lacks a column, ``same`` is no answer, a record is paired with itself, or a line
            contradicts another and times do not tell which of them is the later one; the line is named.
    """
    latest: dict[Pair, Judged] = {}
    for line, pair, said in _judged(path):
        if pair[0] == pair[1]:
            raise InvalidInput(f"line {line} pairs a record with itself")
        before = latest.setdefault(pair, said)
        if before.same is not said.same and not (
            before.when and said.when and before.when != said.when
        ):
            raise InvalidInput(f"line {line} contradicts an earlier line about the same pair")
        if before.when is None or (said.when is not None and said.when > before.when):
            latest[pair] = said
    return {pair: said.same for pair, said in latest.items()}


class Judged(NamedTuple):
    """An answer about a pair, and when it was given, if that is told."""

    same: bool
    when: datetime | None


def _judged(path: Path) -> Iterator[tuple[int, Pair, Judged]]:
    with open_rows(path, needed=COLUMNS) as file:
        for row in file.rows():
            content: Mapping[str, object] = row.content if isinstance(row.content, dict) else {}
            values = [str(content.get(column, "")).strip() for column in COLUMNS]
            same = _ANSWERS.get(values[4].lower())
            if same is None or not all(values):
                raise InvalidInput(
                    f"line {row.line} is no judged pair: {', '.join(COLUMNS)} are needed, same is true or false"
                )
            pair = _pair(RecordKey(values[0], values[1]), RecordKey(values[2], values[3]))
            yield row.line, pair, Judged(same, _moment(str(content.get(WHEN, ""))))


def _moment(text: str) -> datetime | None:
    """A time as exports write it, in UTC if it names no zone; None for what is none: the column may be anybody's."""
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError:
        return None
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)
