"""What every table needs of a run: its sizes, its folder, its progress, and what was loaded already."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from rich.progress import Progress, TaskID

from bench import indexes, mongodb
from bench.datasets import Dataset, by_record, truth_of
from bench.indexes import Index, crosswalk
from bench.processes import Server, environment, mpi, mpi_server, serving
from bench.progress import part
from mpi.matching.partition_scores import Score, score

NAMED = {"sqlite": "SQLite", "mongodb": "MongoDB"}


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much is measured. ``records`` is the size of the index that is queried, in the ``store``.

    ``registrations`` are put through Verato as well.
    """

    records: int
    load_rows: int
    rounds: int
    seconds: float
    rates: tuple[int, ...]
    registrations: int
    minutes: float
    quick: bool
    store: str = "sqlite"


@dataclass(frozen=True, slots=True)
class Loaded:
    """A labelled set in an index of its own, and how right the index is."""

    rows: int
    rejected: int
    seconds: float
    peak: int
    bytes: int
    score: Score


@dataclass(slots=True)
class Run:
    """One run of the bench. ``folder`` is removed at its end."""

    sizes: Sizes
    folder: Path
    data: Path | None
    peers: Path | None
    progress: Progress
    task: TaskID
    _fresh: dict[int, Index] = field(default_factory=dict)
    _loaded: dict[str, Loaded] = field(default_factory=dict)

    def step(self, label: str) -> None:
        """Say what is being measured now."""
        self.progress.update(self.task, label=label)

    def share(self, label: str, seconds: float) -> AbstractContextManager[None]:
        """A part of the run that takes about so many seconds, for the time left."""
        return part(self.progress, self.task, label, seconds)

    def index(self) -> Index:
        """The index that is queried: the kept one, or a new one when none is kept.

        Up to the size of the load table code that has changed makes a new one too; a larger one would take too long,
        its tables tell that it is old.
        """
        return self.fresh(self.sizes.records, reload=False)

    def fresh(self, records: int, *, reload: bool = True) -> Index:
        """An index of that size; with ``reload`` one that this run has loaded itself."""
        found = self._fresh.get(records)
        if found is None and not reload:
            found = indexes.kept(records)
            if found is not None and not found.is_current and records <= self.sizes.load_rows:
                found = None
        if found is None:
            self.step(f"loading {records:,} records")
            found = indexes.build(records)
            self._fresh[records] = found
        return found

    @contextmanager
    def service(self, index: Index) -> Iterator[Server]:
        """One worker that serves the index from the store of this run."""
        if self.sizes.store == "sqlite":
            with serving(mpi_server(), environment(index.database)) as server:
                yield server
            return
        self.step("copying the index in MongoDB")
        with mongodb.copied(index, self.folder) as settings:
            command = mpi_server(1, self.sizes.store)
            with serving(command, environment(index.database, settings)) as server:
                yield server

    def loaded(self, dataset: Dataset) -> Loaded:
        """A labelled set, loaded once however many tables ask for it."""
        found = self._loaded.get(dataset.name)
        if found is None:
            self.step(f"loading {dataset.name}")
            found = self._loaded[dataset.name] = self.load_set(
                dataset.name, dataset.load_arguments, dataset.rows()
            )
        return found

    def load_set(self, name: str, arguments: list[str], rows: list[dict[str, str]]) -> Loaded:
        """Load labelled rows into a new index and score its crosswalk."""
        folder = self.folder / name
        folder.mkdir(mode=0o700)
        database = folder / "index.sqlite3"
        done = mpi(arguments, database)
        report = done.document
        return Loaded(
            rows=report["rows"],
            rejected=report["rejected"],
            seconds=report["seconds"],
            peak=done.peak,
            bytes=database.stat().st_size,
            score=score(truth_of(rows), by_record(crosswalk(database))),
        )
