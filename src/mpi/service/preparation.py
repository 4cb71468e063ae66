"""From a submission to the record that will be compared and stored."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import orjson

from mpi.domain.identity import StoredRecord
from mpi.domain.record import (
    Demographics,
    Guarded,
    RecordKey,
    RecordStatus,
    Submission,
    TraitWarning,
)
from mpi.matching.blocking import BlockingKeys, blocking_keys, stored_keys
from mpi.matching.placeholders import Placeholders
from mpi.matching.record import StandardAddress, StandardRecord
from mpi.matching.standardize import standardize

ANONYMOUS = "anonymous"


@dataclass(frozen=True, slots=True, repr=False)
class Prepared(Guarded):
    """A submission that was read before it came here, in another process perhaps. ``received_at`` is not set yet."""

    record: StoredRecord
    keys: BlockingKeys

    @property
    def key(self) -> RecordKey:
        """As :attr:`Submission.key`: a prepared submission always brings its ids."""
        return self.record.key


@dataclass(frozen=True, slots=True)
class Preparation:
    """Reads every trait once and computes keyed digests. ``clock`` gives the time of arrival."""

    hmac_key: bytes
    placeholders: Placeholders
    clock: Callable[[], datetime]

    def record(
        self, submission: Submission | Prepared, *, stored: bool = True
    ) -> tuple[StoredRecord, BlockingKeys]:
        """The record as it would be stored. A query without ids gets a key that is never stored.

        What is never ``stored`` needs no digest, and none is made.
        """
        if isinstance(submission, Prepared):
            return replace(submission.record, received_at=self.clock()), submission.keys
        key = submission.key or RecordKey("", "")
        demographics = _scoped(submission.demographics, key.source)
        standard, warnings = standardize(demographics, self.placeholders)
        keys = blocking_keys(standard)
        record = StoredRecord(
            key=key,
            version=0,
            status=RecordStatus.ACTIVE,
            demographics=demographics,
            standard=standard,
            blocking_keys=stored_keys(standard),
            digest=self._digest(b"content:", demographics) if stored else b"",
            received_at=self.clock(),
            recorded_at=submission.recorded_at,
            warnings=tuple((w.field, w.code) for w in warnings),
        )
        return record, keys

    @staticmethod
    def form(submission: Submission | Prepared, warnings: Sequence[TraitWarning]) -> bytes:
        """What the answer to a query depends on: equal forms, equal answers."""
        submitted = submission.record if isinstance(submission, Prepared) else submission
        return orjson.dumps((submitted.demographics, submission.key, tuple(warnings)))

    @staticmethod
    def meaning(record: StoredRecord, warnings: Sequence[TraitWarning]) -> bytes:
        """As :meth:`form`, but of what was understood: queries written differently may mean the same."""
        return _json((record.standard, record.key, tuple(warnings), record.warnings))

    def anonymous_key(self, record: StoredRecord) -> RecordKey:
        """The key of a record that came without ids: equal people get equal keys."""
        return RecordKey(ANONYMOUS, self._digest(b"anonymous:", record.standard).hex())

    def _digest(self, purpose: bytes, value: object) -> bytes:
        return hmac.digest(self.hmac_key, purpose + _json(value), hashlib.sha256)[:16]


def _scoped(demographics: Demographics, source: str) -> Demographics:
    """Numbers without an assigning system belong to the source that sent them."""
    scoped = tuple(
        identifier if identifier.system or not source else replace(identifier, system=source)
        for identifier in demographics.identifiers
    )
    return (
        demographics
        if scoped == demographics.identifiers
        else replace(demographics, identifiers=scoped)
    )


def _json(value: object) -> bytes:
    """What is digested. It may never change: stored digests, ids of anonymous records and keys of caches rest on it."""
    return orjson.dumps(value, default=_fields)


def _fields(value: StandardRecord | StandardAddress) -> dict[str, object]:
    return value._asdict()
