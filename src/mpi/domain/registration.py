"""From a flat row or a patient with its ids beside it to a :class:`~mpi.domain.record.Submission`."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from datetime import datetime

from mpi.domain.intake import parse_key, parse_patient, parse_recorded_at
from mpi.domain.record import Submission, TraitWarning
from mpi.errors import InvalidInput

UNKNOWN_FIELD = "unknown_field"
UNREADABLE = "unreadable"

Warnings = tuple[TraitWarning, ...]
_PATIENT = "patient_data"
_IDS = ("source", "source_id", "recorded_at")
RECORD_MEMBERS = frozenset({_PATIENT, *_IDS})
"""What a registration is told by where the patient has a member of its own."""
_LONGEST_NAME, _MOST_NAMES = 100, 100


def read_flat(
    fields: Mapping[str, object], source: str | None = None
) -> tuple[Submission, Warnings]:
    """A row whose ids stand beside the patient's fields, or beside ``patient_data`` with these inside.

    ``source`` applies to rows that name a ``source_id`` but no source of their own. Raises
    ``InvalidInput`` as :func:`read_submission` does.
    """
    ids = {name: fields.get(name) for name in _IDS}
    if ids["source"] in (None, "") and ids["source_id"] is not None:
        ids["source"] = source
    if fields.get(_PATIENT) in (None, ""):
        beside = {name: value for name, value in fields.items() if name not in RECORD_MEMBERS}
        return read_submission(ids, beside)
    return read_nested({**fields, **ids}, RECORD_MEMBERS)


def read_nested(
    document: Mapping[str, object], known: Container[str]
) -> tuple[Submission, Warnings]:
    """The patient within ``patient_data``, the ids beside it; any member that is not ``known`` is a warning.

    Raises ``InvalidInput`` as :func:`read_submission` does.
    """
    patient = document.get(_PATIENT)
    if not isinstance(patient, Mapping):
        raise InvalidInput(f"{_PATIENT} must be a JSON object")
    submission, warnings = read_submission(document, patient)
    return submission, warnings + strangers(document, known)


def strangers(document: Mapping[str, object], known: Container[str]) -> Warnings:
    """A warning for each member that is not ``known``."""
    return unknown_fields([name for name in document if name not in known])


def read_submission(
    ids: Mapping[str, object], patient: Mapping[str, object]
) -> tuple[Submission, Warnings]:
    """A submission, with warnings for unknown fields and an unreadable ``recorded_at``.

    Raises ``InvalidInput`` when a value has the wrong shape, or one id comes without the other.
    """
    demographics, unknown = parse_patient(patient)
    key = parse_key(ids.get("source"), ids.get("source_id"))
    moment, warnings = _moment(ids.get("recorded_at"))
    return Submission(demographics, key, moment), warnings + unknown_fields(unknown)


def unknown_fields(names: Sequence[str]) -> Warnings:
    """A warning for each of the names, which are the sender's own text: only so many, and only so much of each."""
    told = [
        name if len(name) <= _LONGEST_NAME else f"{name[:_LONGEST_NAME]}…"
        for name in names[:_MOST_NAMES]
    ]
    if len(names) > _MOST_NAMES:
        told.append("…")
    return tuple([TraitWarning(name, UNKNOWN_FIELD) for name in told])


def _moment(text: object) -> tuple[datetime | None, Warnings]:
    """A time that cannot be read is no reason to refuse the registration."""
    if text is not None and not isinstance(text, str):
        raise InvalidInput("recorded_at must be text")
    try:
        return parse_recorded_at(text), ()
    except (ValueError, OverflowError):
        return None, (TraitWarning("recorded_at", UNREADABLE),)
