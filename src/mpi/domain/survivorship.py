"""The golden record: the one view of a person, a pure function of its current records.

The rule for now: per trait, the value of the newest record that has one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from mpi.domain.identity import StoredRecord
from mpi.domain.record import Demographics


def golden_record(records: Sequence[StoredRecord]) -> Demographics:
    """Newest value per trait; equal times are settled by the record's key, so the answer never wavers."""
    newest_first = sorted(
        records, key=lambda r: (r.recorded_at or r.received_at, r.key), reverse=True
    )
    chosen: dict[str, Any] = {}
    for trait in fields(Demographics):
        values = (getattr(record.demographics, trait.name) for record in newest_first)
        chosen[trait.name] = next((value for value in values if value), trait.default)
    return Demographics(**chosen)
