"""Labelled sets: registrations, and the person behind each of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from mpi.bulk.load import ReadRow, read_rows
from mpi.bulk.rows import Rename, Row, open_rows
from mpi.domain.identity import StoredRecord
from mpi.domain.record import Guarded, RecordKey, Submission
from mpi.errors import InvalidInput, MpiError
from mpi.service.preparation import Preparation, Prepared

ENTITY = "entity_id"
RELATED = ("entity_a", "entity_b", "relation")

_NOBODY = (None, "")

Tags = tuple[str, ...]

Truth = dict[str, tuple[str, Tags]]
"""Record to its person and tags."""

Relations = tuple[tuple[str, str, str], ...]
"""Pairs of people who must stay apart, and how they are related."""


def record_name(key: RecordKey) -> str:
    """How a record is named in tables of truth."""
    return f"{key.source}|{key.source_id}"


@dataclass(slots=True, repr=False)
class LabelledSet(Guarded):
    """Rows that can be registered, in the order of the file, and what is known of them.

    Records are named ``source|source_id``. ``people`` tells the person behind a record; one of which none is told is
    registered, but not judged. ``tags`` say what makes a record hard, where that is told.
    """

    rows: list[ReadRow] = field(default_factory=list)
    records: dict[str, StoredRecord] = field(default_factory=dict)
    people: dict[str, str] = field(default_factory=dict)
    tags: dict[str, Tags] = field(default_factory=dict)
    related: Relations = ()
    rejected: int = 0

    def judged(self) -> tuple[list[StoredRecord], list[str]]:
        """The records whose person is told, and these persons, in the order of the file."""
        names = [name for name in self.records if name in self.people]
        return [self.records[name] for name in names], [self.people[name] for name in names]


@dataclass(frozen=True, slots=True)
class LabelledFile:
    """Where a labelled set lies. Without ``truth`` the column ``entity`` of the file itself tells the persons;
    ``truth`` has the columns ``rec_id`` (``source|source_id``, or the source id alone) and ``entity``; ``tags``, set
    apart by bars, may say what makes a record hard.
    """

    path: Path
    source: str = "evaluation"
    rename: Rename = field(default_factory=dict)
    entity: str = ENTITY
    truth: Path | None = None
    related: Path | None = None

    def read(
        self, preparation: Preparation, progress: Callable[[int, int], object] | None = None
    ) -> LabelledSet:
        """Read and standardise everything; ``progress`` hears of bytes done and in all.

        Raises:
            InvalidInput: nobody is known to be behind any of the rows, or two people behind one record.
            ConfigurationError: a file cannot be read.
        """
        truth = self._told(self.truth) if self.truth is not None else None
        found = LabelledSet(related=tuple(self._related()))
        with open_rows(self.path, self.rename) as file:
            for row in file.rows():
                self._add(row, truth, preparation, found)
                if progress is not None and row.line % 1_000 == 0:
                    progress(file.position, file.size)
        if not found.people:
            raise InvalidInput(
                f"no row tells its person; name the column with --entity (it is {self.entity} now) or a file "
                "with --truth"
            )
        return found

    def _add(
        self, row: Row, truth: Truth | None, preparation: Preparation, found: LabelledSet
    ) -> None:
        person, tags = self._taken_out(row), Tags()
        (read,) = read_rows([row], self.source)
        if not isinstance(read.content, Submission) or read.content.key is None:
            found.rejected += 1
            return
        name = record_name(read.content.key)
        if truth is not None:
            unknown = (None, Tags())
            person, tags = truth.get(name) or truth.get(read.content.key.source_id) or unknown
        try:
            record, keys = preparation.record(read.content)
        except MpiError:
            found.rejected += 1
            return
        found.rows.append(ReadRow(read.line, b"null", Prepared(record, keys), read.unknown))
        found.records[name] = record
        if person not in _NOBODY and found.people.setdefault(name, str(person)) != str(person):
            raise _contradiction(row.line)
        if tags:
            found.tags[name] = tags

    def _taken_out(self, row: Row) -> object:
        """The person that the row tells, which is nothing to register. Headings of CSV are in lower case."""
        for column in (self.entity, self.entity.lower()):
            if isinstance(row.content, dict) and column in row.content:
                return row.content.pop(column)
        return None

    def _told(self, path: Path) -> Truth:
        columns = ("rec_id", self.entity.lower())  # headings of CSV are read in lower case
        truth: Truth = {}
        for line, row in _rows(path, columns):
            told = (row[columns[1]], _tags(row.get("tags") or ""))
            if told[0] in _NOBODY:
                continue
            if truth.setdefault(row[columns[0]], told)[0] != told[0]:
                raise _contradiction(line)
        return truth

    def _related(self) -> Iterator[tuple[str, str, str]]:
        if self.related is not None:
            for _, row in _rows(self.related, RELATED):
                one, other, relation = (row[column] for column in RELATED)
                yield one, other, relation


def _contradiction(line: int) -> InvalidInput:
    return InvalidInput(f"line {line} contradicts an earlier line about the person of its record")


def _rows(path: Path, columns: tuple[str, ...]) -> Iterator[tuple[int, dict[str, str]]]:
    with open_rows(path, needed=columns) as file:
        for row in file.rows():
            if not isinstance(row.content, dict) or not row.content.keys() >= set(columns):
                raise InvalidInput(f"a row of a table of people lacks one of {', '.join(columns)}")
            yield row.line, row.content


def _tags(text: object) -> Tags:
    """Each tag once, in the order in which they are told."""
    if not isinstance(text, str):
        raise InvalidInput("tags are one text, set apart by bars: moved|renamed")
    tags = (tag.strip() for tag in text.split("|"))
    return tuple(dict.fromkeys(tag for tag in tags if tag))
