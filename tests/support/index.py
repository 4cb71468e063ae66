"""An index over a real store, with made-up patients and a clock that never stands still."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import time

from mpi.domain.record import RecordKey, Submission
from mpi.domain.registration import read_flat
from mpi.errors import MpiError
from mpi.matching.model import Model, load_default_model
from mpi.ports import AnswerCache, Provider, SharedAnswers, Store
from mpi.providers.internal import InternalProvider
from mpi.service.answers import MatchAnswer
from mpi.service.changes import RecentChanges
from mpi.service.index import MasterPatientIndex
from mpi.service.recall import Lifetime, Recall
from mpi.service.stewardship import Stewardship
from mpi.stores.sqlite.store import open_store

MODEL = load_default_model()
FINGERPRINT = b"fingerprint"
"""Of the HMAC key with which these indexes are made."""

MARGA = {
    "first_name": "Marguerite",
    "last_name": "Vandersloot",
    "dob": "1961-03-17",
    "sex": "F",
    "ssn": "412-55-7813",
    "address": "48 Quarry Lane",
    "city": "Dover",
    "state": "DE",
    "zip": "19901",
    "phone": "302-555-0147",
    "email": "marga.v@example.org",
}
OTTO = {
    "first_name": "Ottokar",
    "last_name": "Przybylski",
    "dob": "1984-11-02",
    "sex": "M",
    "ssn": "537-21-4490",
    "address": "7 Lighthouse Road",
    "city": "Salem",
    "state": "OR",
    "zip": "97301",
    "phone": "503-555-0182",
}
IFEOMA = {"first_name": "Ifeoma", "last_name": "Okonkwo", "dob": "1997-06-21", "sex": "F"}
# What no longer fits in Marga's company, and is not plainly another patient.
GONE_ASTRAY = {**OTTO, "first_name": MARGA["first_name"], "sex": "F", "dob": "1968-11-02"}
# Certain of MARGA each, far from certain of each other: they share nothing but the name.
MARGA_BY_NUMBER = {name: MARGA[name] for name in ("first_name", "last_name", "ssn", "address")}
MARGA_BY_BIRTH = {name: MARGA[name] for name in ("first_name", "last_name", "dob", "phone")}
# Another social security number beside a pet name: a question for a steward.
MARGA_IN_DOUBT = {**MARGA, "first_name": "Peggy", "ssn": "688-90-3124"}


def submission(
    fields: dict[str, str], source_id: str | None = None, source: str = "lab", recorded: str = ""
) -> Submission:
    """A registration of ``fields``; without ``source_id`` a query."""
    ids = {} if source_id is None else {"source": source, "source_id": source_id}
    found, _ = read_flat({**fields, **ids, "recorded_at": recorded or None})
    return found


def key(source_id: str, source: str = "lab") -> RecordKey:
    """The key of a record as :func:`submission` makes it."""
    return RecordKey(source, source_id)


@dataclass(frozen=True, slots=True)
class Index:
    """The parts of a service that tests speak to."""

    mpi: MasterPatientIndex
    stewards: Stewardship
    store: Store
    clock: Clock
    told: Counter[str]
    """What the service reported: hits, misses, conflicts, narrowed blocks."""

    async def add(
        self, fields: dict[str, str], source_id: str, source: str = "lab", recorded: str = ""
    ) -> MatchAnswer:
        """Register a record."""
        return await self.mpi.resolve(submission(fields, source_id, source, recorded), actor="ada")

    async def ask(self, fields: dict[str, str]) -> MatchAnswer:
        """Who is this? Changes nothing."""
        return await self.mpi.resolve(submission(fields), actor="ada")

    async def owner(self, source_id: str, source: str = "lab") -> str | None:
        """The person of a record."""
        return (await self.mpi.get_record(key(source_id, source))).mpi_id

    async def batch(
        self, *rows: Submission | MpiError, enroll: bool | None = None
    ) -> list[MatchAnswer | MpiError]:
        """The answers to the rows of one batch."""
        return [answer async for answer in self.mpi.batch(rows, enroll=enroll, actor="ada")]

    async def partition(self) -> dict[str, str]:
        """Every active record by its source id with its person."""
        return {record.source_id: mpi_id async for record, mpi_id in self.mpi.crosswalk()}


class Clock:
    """A second passes with every look at it."""

    def __init__(self) -> None:
        self.now = datetime(2026, 1, 5, tzinfo=UTC)

    def __call__(self) -> datetime:
        self.now += timedelta(seconds=1)
        return self.now


def in_use() -> Model:
    """The model that decides in tests."""
    return MODEL


@asynccontextmanager
async def indexing(
    folder: Path,
    enroll: str = "identified",
    *,
    cache: AnswerCache | None = None,
    shared: SharedAnswers | None = None,
    lookback: int = 0,
    patience: float = 5.0,
    around: Callable[[Provider], Provider] = lambda provider: provider,
    elsewhere: Store | None = None,
) -> AsyncIterator[Index]:
    """The index in ``folder``, unless it is ``elsewhere``; ``around`` may put something in front of its provider."""
    file = None if elsewhere else open_store(folder / "index.sqlite3", FINGERPRINT)
    store = elsewhere or file
    assert store is not None
    clock, key = Clock(), b"k" * 32
    told: Counter[str] = Counter()
    recall = None
    if cache is not None or shared is not None:
        recall = Recall(
            cache,
            shared,
            RecentChanges(store, key, lookback=lookback),
            key,
            version=lambda: MODEL.version,
            lifetime=Lifetime(3600, time),
            patience=patience,
            hit=lambda tier: told.update([f"hit {tier}"]),
            miss=lambda tier: told.update([f"miss {tier}"]),
        )
    mpi = MasterPatientIndex(
        store=store,
        provider=around(
            InternalProvider(store, in_use, narrowed=lambda n: told.update(narrowed=n))
        ),
        model=in_use,
        recall=recall,
        conflict=lambda: told.update(["conflict"]),
        hmac_key=key,
        clock=clock,
        enroll=enroll,
        batch_size=3,
    )
    try:
        yield Index(mpi, Stewardship(store=store, model=in_use, clock=clock), store, clock, told)
    finally:
        if file is not None:
            file.close()
