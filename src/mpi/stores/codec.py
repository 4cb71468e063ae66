"""Demographics and comparison forms as compact bytes, the same for every store.

One byte names the form, the rest is a JSON array of values by position: a third of the size of named fields. A new
field goes to the end and has a default; any other change of the types needs a new form byte and a reader for the old
one (the tests pin the fields of form 1).
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import MISSING, Field, field, fields, is_dataclass, make_dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import msgspec
import orjson

from mpi.domain.identity import Member, Neighbour, PersonState, StoredRecord
from mpi.domain.record import Address, Demographics, Identifier, Name, RecordKey, RecordStatus
from mpi.matching.record import StandardRecord

T = TypeVar("T")

FORM = b"\x01"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

STATUSES = {status.value: status for status in RecordStatus}
"""The status that a stored word names, of each row that is read: calling the enumeration is slower."""


class UnreadableBlob(ValueError):
    """Bytes of an unknown form, or damaged ones. Carries no content."""


def _thawed(cls: type[T]) -> Callable[..., T]:
    """A positional constructor of the frozen, slotted dataclass ``cls`` at a third of its cost.

    Frozen classes set every field through ``object.__setattr__``. A mutable twin of the same layout is filled plainly
    and then given the frozen class. Reading a person or a neighbourhood constructs a few such values for each record.
    """
    if not is_dataclass(cls):
        raise TypeError("only dataclasses can be thawed")
    twin: Any = make_dataclass(
        cls.__name__,
        [(f.name, Any, _same_default(f)) for f in fields(cls)],
        bases=tuple(base for base in cls.__bases__ if base is not object),
        slots=True,
        eq=False,
        repr=False,
    )

    def build(*values: Any) -> T:
        made = twin(*values)
        made.__class__ = cls
        return made  # type: ignore[no-any-return]

    return build


def _same_default(of: Field[Any]) -> Any:
    return field() if of.default is MISSING else field(default=of.default)


_name = _thawed(Name)
_address = _thawed(Address)
_identifier = _thawed(Identifier)
_demographics = _thawed(Demographics)
record_key = _thawed(RecordKey)
stored_record = _thawed(StoredRecord)
person_state = _thawed(PersonState)
member = _thawed(Member)
neighbour = _thawed(Neighbour)
# Named tuples in one step, values checked: half the time of making them of what JSON alone tells.
_standard = msgspec.json.Decoder(StandardRecord)


def encode_demographics(value: Demographics) -> bytes:
    """The raw registration as bytes."""
    return FORM + orjson.dumps(
        [
            [(n.given, n.middle, n.family, n.suffix, n.use) for n in value.names],
            [(a.line1, a.line2, a.city, a.state, a.zip, a.country) for a in value.addresses],
            [(i.kind, i.value, i.system) for i in value.identifiers],
            value.phones,
            value.emails,
            value.dob,
            value.sex,
            value.ssn,
            value.mothers_maiden_name,
            value.birth_order,
            value.multiple_birth,
            value.deceased_date,
        ]
    )


def decode_demographics(blob: bytes) -> Demographics:
    """The inverse of :func:`encode_demographics`; raises ``UnreadableBlob``."""
    names, addresses, identifiers, phones, emails, dob, sex, ssn, *rest = _decoded(
        orjson.loads, blob
    )
    return _demographics(
        tuple([_name(*x) for x in names]),
        dob,
        sex,
        ssn,
        tuple([_address(*x) for x in addresses]),
        tuple(phones),
        tuple(emails),
        tuple([_identifier(*x) for x in identifiers]),
        *rest,
    )


def encode_standard(value: StandardRecord) -> bytes:
    """The comparison form as bytes."""
    return FORM + msgspec.json.encode(value)


def decode_standard(blob: bytes) -> StandardRecord:
    """The inverse of :func:`encode_standard`; raises ``UnreadableBlob``."""
    return _decoded(_standard.decode, blob)


def _decoded(decode: Callable[[memoryview], T], blob: bytes) -> T:
    if blob[:1] != FORM:
        raise UnreadableBlob("a stored record has a form that this version does not know")
    try:
        return decode(memoryview(blob)[1:])
    except (orjson.JSONDecodeError, msgspec.DecodeError):
        # Without the cause: its text would quote patient data.
        raise UnreadableBlob("a stored record is damaged") from None


def encode_keys(keys: Sequence[int]) -> bytes:
    """Blocking keys (signed 64-bit) as little-endian words, in their order."""
    return struct.pack(f"<{len(keys)}q", *keys)


def decode_keys(blob: bytes) -> tuple[int, ...]:
    """The inverse of :func:`encode_keys`."""
    if len(blob) % 8:
        raise UnreadableBlob("stored blocking keys are damaged")
    return struct.unpack(f"<{len(blob) // 8}q", blob)


def encode_warnings(warnings: Sequence[tuple[str, str]]) -> bytes | None:
    """Warnings as bytes; most records have none and store nothing."""
    return orjson.dumps(warnings) if warnings else None


def decode_warnings(blob: bytes | None) -> tuple[tuple[str, str], ...]:
    """The inverse of :func:`encode_warnings`."""
    return tuple([(field_, code) for field_, code in orjson.loads(blob)]) if blob else ()


def encode_time(moment: datetime) -> int:
    """Microseconds since 1970 in UTC. A naive datetime is a programming error (``TypeError``)."""
    return (moment - EPOCH) // _MICROSECOND


def decode_time(microseconds: int) -> datetime:
    """The moment in UTC; equal to the encoded one, though its offset is not kept."""
    return EPOCH + timedelta(0, 0, microseconds)
