"""Bodies with patient data, read by hand because these routes carry the load.

The published models in :mod:`mpi.api.requests` accept and reject the same bodies.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import orjson

from mpi.api.requests import MAX_CORRELATION_ID, MAX_SEARCH
from mpi.domain.intake import parse_key
from mpi.domain.record import RecordKey, Submission, TraitWarning
from mpi.domain.registration import RECORD_MEMBERS, Warnings, read_flat, read_nested, strangers
from mpi.errors import InvalidInput, MalformedBody, MpiError, PayloadTooLarge

_MATCH = RECORD_MEMBERS | {"enroll", "explain"}
_SEARCH = RECORD_MEMBERS | {"limit"}
_PAIR = frozenset({"left", "right"})
_BATCH = frozenset({"patients", "source", "enroll", "explain"})
_REGISTER = frozenset({"patient_data", "recorded_at", "explain"})


@dataclass(frozen=True, slots=True)
class Matching:
    """A parsed ``/mpi/match`` body. ``enroll`` None leaves the choice to ``MPI_ENROLL``."""

    submission: Submission
    enroll: bool | None
    explain: bool
    warnings: Warnings


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a batch: what it submits, or why it cannot."""

    submission: Submission | MpiError
    correlation_id: str | None
    warnings: Warnings = ()


@dataclass(frozen=True, slots=True)
class Batch:
    """A ``/mpi/batch`` body; its rows are parsed when their turn comes, not to hold up others.

    ``warnings`` are of what stands beside the rows.
    """

    patients: list[Any]
    source: str | None
    enroll: bool | None
    explain: bool
    warnings: Warnings = ()

    @property
    def is_named(self) -> bool:
        """Whether a row brings an id, so that it would be a registration."""
        return any(
            isinstance(patient, dict) and patient.get("source_id") is not None
            for patient in self.patients
        )

    def rows(self) -> Iterator[Row]:
        """Every row in order. Those that are wrong stay in their place as errors."""
        return (parse_row(patient, self.source) for patient in self.patients)


def parse_match(body: bytes) -> Matching:
    """The body of ``POST /mpi/match``."""
    document = _object(body)
    enroll = _flag(document, "enroll")
    submission, warnings = read_nested(document, _MATCH)
    return Matching(submission, enroll, bool(_flag(document, "explain")), warnings)


def parse_registration(body: bytes, key: RecordKey) -> Matching:
    """The body of ``PUT /mpi/records/…``, whose ids stand in the path."""
    document = _object(body)
    known = {name: value for name, value in document.items() if name in _REGISTER}
    submission, warnings = read_nested(known, _REGISTER)
    warnings += strangers(document, _REGISTER)
    explain = bool(_flag(document, "explain"))
    return Matching(replace(submission, key=key), None, explain, warnings)


def parse_search(body: bytes) -> tuple[Submission, int, Warnings]:
    """The body of ``POST /mpi/search``: a patient and how many candidates to show."""
    document = _object(body)
    submission, warnings = read_nested(document, _SEARCH)
    limit = document.get("limit")
    limit = 10 if limit is None else limit
    if type(limit) is not int or not 1 <= limit <= MAX_SEARCH:
        raise InvalidInput(f"limit must be a whole number from 1 to {MAX_SEARCH}")
    return submission, limit, warnings


def parse_pair(
    body: bytes,
) -> tuple[Submission | RecordKey, Submission | RecordKey, Warnings]:
    """The body of ``POST /mpi/explain``: ``left`` and ``right``, each stored or given in full."""
    document = _object(body)
    left, of_left = _side(document, "left")
    right, of_right = _side(document, "right")
    return left, right, of_left + of_right + strangers(document, _PAIR)


def parse_batch(body: bytes, limit: int) -> Batch:
    """The body of ``POST /mpi/batch``."""
    document = _object(body)
    patients = document.get("patients")
    if not isinstance(patients, list):
        raise InvalidInput("patients must be a list")
    if len(patients) > limit:
        raise PayloadTooLarge("patients holds more rows than MPI_BATCH_LIMIT", limit=limit)
    named = None if document.get("source") is None else parse_key(document["source"], "0")
    source = None if named is None else named.source
    enroll, explain = _flag(document, "enroll"), bool(_flag(document, "explain"))
    return Batch(patients, source, enroll, explain, strangers(document, _BATCH))


def parse_row(patient: object, source: str | None = None) -> Row:
    """One row of a batch; what is wrong with it becomes its result."""
    if not isinstance(patient, dict):
        return Row(InvalidInput("a row must be a JSON object"), None)
    mark = patient.pop("correlation_id", None)
    if mark is not None and not (isinstance(mark, str) and len(mark) <= MAX_CORRELATION_ID):
        reason = f"correlation_id must be text of at most {MAX_CORRELATION_ID} characters"
        return Row(InvalidInput(reason), None)
    try:
        submission, warnings = read_flat(patient, source)
    except MpiError as error:
        return Row(error, mark)
    return Row(submission, mark, warnings)


def _object(body: bytes) -> dict[str, Any]:
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise MalformedBody("the body is not valid JSON") from None
    if not isinstance(document, dict):
        raise InvalidInput("the body must be a JSON object")
    return document


def _side(document: Mapping[str, Any], name: str) -> tuple[Submission | RecordKey, Warnings]:
    """A side, and what of it was not understood: fields are named after the side, as in ``left.ssn``."""
    side = document.get(name)
    if not isinstance(side, dict):
        raise InvalidInput(f"{name} must be a JSON object")
    stored = side.get("patient_data") is None
    submission, own = read_nested(side | {"patient_data": {}} if stored else side, RECORD_MEMBERS)
    warnings = tuple(TraitWarning(f"{name}.{w.field}", w.code) for w in own)
    if not stored:
        return submission, warnings
    if submission.key is None:
        raise InvalidInput(f"{name} needs patient_data, or source and source_id")
    return submission.key, warnings


def _flag(document: Mapping[str, Any], name: str) -> bool | None:
    value = document.get(name)
    if value is not None and not isinstance(value, bool):
        raise InvalidInput(f"{name} must be true or false")
    return value
