"""From submitted fields to :class:`~mpi.domain.record.Demographics`: shape only, no meaning.

Flat columns and plural forms fold into one value, the flat one first. Text is kept as it came; what it
means is read by :mod:`mpi.matching.standardize`. Rejected is only what has the wrong shape, and a
rejection names paths such as ``names[0].given``, never a value.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from itertools import islice

from mpi.domain.record import Address, Demographics, Identifier, Name, RecordKey
from mpi.errors import InvalidInput

MAX_ENTRIES = 20
"""Longest list that a plural form may hold; more is a file in the wrong place, not a patient."""

MAX_SOURCE = 128
MAX_SOURCE_ID = 255

ALIASES: Mapping[str, str] = {
    "gender": "sex",
    "birth_date": "dob",
    "date_of_birth": "dob",
    "postal_code": "zip",
    "family_name": "last_name",
    "given_name": "first_name",
}
"""Second spellings of flat columns, as FHIR and common exports name them. The column itself wins."""

_FLAG = "multiple_birth"
"""The one flat column that JSON has a word of its own for."""

FLAT_FIELDS = (
    "ssn first_name middle_name last_name suffix maiden_name alias mothers_maiden_name dob sex address address2 "
    "city state zip country phone phone2 email mrn birth_order multiple_birth deceased_date"
).split()
PLURAL_FIELDS = ("names", "addresses", "phones", "emails", "identifiers")

_KNOWN = frozenset((*FLAT_FIELDS, *PLURAL_FIELDS, *ALIASES))
_NAME_FIELDS = ("given", "middle", "family", "suffix", "use")
_ADDRESS_FIELDS = ("line1", "line2", "city", "state", "zip", "country")
_IDENTIFIER_FIELDS = ("kind", "value", "system")

# FHIR R4 name-use codes beside our own three; any other word is a name the patient also goes by.
_NAME_USES = {"": "official", "official": "official", "usual": "official", "maiden": "maiden"}

# The kind of a number that came without one.
_ANY_KIND = "ID"


class _Reader:
    """Takes values out of one submission and remembers what was wrong or not understood."""

    __slots__ = ("errors", "unknown")

    def __init__(self) -> None:
        self.errors: list[dict[str, str]] = []
        self.unknown: list[str] = []

    def wrong(self, path: str, code: str) -> None:
        self.errors.append({"path": path, "code": code})

    def text(self, value: object, path: str) -> str | None:
        """The value as text, None when there is nothing in it."""
        if value is None:
            return None
        if isinstance(value, str):
            return self._string(value, path)
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
        if isinstance(value, float) and math.isfinite(value):
            # Spreadsheets and data frames turn 98101 into 98101.0.
            return str(int(value)) if value.is_integer() else repr(value)
        self.wrong(path, "wrong_type")
        return None

    def _string(self, value: str, path: str) -> str | None:
        if not value or value.isspace():
            return None
        if not value.isascii():
            try:
                value.encode()
            except UnicodeEncodeError:  # a lone surrogate: neither storable nor printable
                self.wrong(path, "not_unicode")
                return None
        return value

    def entries(self, value: object, path: str) -> Iterator[tuple[str, object]]:
        """The entries of a plural form with their paths; nulls are skipped."""
        if value is None:
            return
        if not isinstance(value, list | tuple):
            self.wrong(path, "wrong_type")
            return
        if len(value) > MAX_ENTRIES:
            self.wrong(path, "too_many")
            return
        for index, entry in enumerate(value):
            if entry is not None:
                yield f"{path}[{index}]", entry

    def texts(self, value: object, path: str) -> Iterator[str]:
        for entry_path, entry in self.entries(value, path):
            text = self.text(entry, entry_path)
            if text is not None:
                yield text

    def objects(
        self, value: object, path: str, allowed: tuple[str, ...]
    ) -> Iterator[dict[str, str | None]]:
        for entry_path, entry in self.entries(value, path):
            if not isinstance(entry, Mapping):
                self.wrong(entry_path, "wrong_type")
                continue
            self.unknown.extend(f"{entry_path}.{name}" for name in entry if name not in allowed)
            yield {name: self.text(entry.get(name), f"{entry_path}.{name}") for name in allowed}


def parse_patient(fields: Mapping[str, object]) -> tuple[Demographics, tuple[str, ...]]:
    """Fold one submission into demographics; returns them with the names of unknown fields.

    Raises ``InvalidInput`` with ``errors=[{"path", "code"}]`` (codes ``wrong_type``, ``too_many``,
    ``not_unicode``) when a field has the wrong shape; every such field is listed.
    """
    reader = _Reader()
    reader.unknown.extend(str(name) for name in fields if name not in _KNOWN)
    flat = _flat_texts(fields, reader)
    demographics = Demographics(
        names=_names(flat, fields.get("names"), reader),
        dob=flat.get("dob"),
        sex=flat.get("sex"),
        ssn=flat.get("ssn"),
        addresses=_addresses(flat, fields.get("addresses"), reader),
        phones=_strings(flat, ("phone", "phone2"), fields.get("phones"), "phones", reader),
        emails=_strings(flat, ("email",), fields.get("emails"), "emails", reader),
        identifiers=_identifiers(flat, fields.get("identifiers"), reader),
        mothers_maiden_name=flat.get("mothers_maiden_name"),
        birth_order=flat.get("birth_order"),
        multiple_birth=flat.get("multiple_birth"),
        deceased_date=flat.get("deceased_date"),
    )
    if reader.errors:
        paths = ", ".join(error["path"] for error in reader.errors)
        raise InvalidInput(f"Unusable fields: {paths}", errors=reader.errors)
    return demographics, tuple(reader.unknown)


def _flat_texts(fields: Mapping[str, object], reader: _Reader) -> dict[str, str]:
    texts = {}
    for name in FLAT_FIELDS:
        if name in fields:
            value = fields[name]
            if name == _FLAG and isinstance(value, bool):
                value = str(value)
            text = reader.text(value, name)
            if text is not None:
                texts[name] = text
    for alias, name in ALIASES.items():
        if alias in fields:
            text = reader.text(fields[alias], alias)
            if text is not None:
                texts.setdefault(name, text)
    return texts


def _names(flat: dict[str, str], plural: object, reader: _Reader) -> tuple[Name, ...]:
    official = Name(
        given=flat.get("first_name"),
        middle=flat.get("middle_name"),
        family=flat.get("last_name"),
        suffix=flat.get("suffix"),
    )
    names = [official] if official != Name() else []
    for entry in reader.objects(plural, "names", _NAME_FIELDS):
        use = _NAME_USES.get((entry.pop("use") or "").strip().lower(), "alias")
        if any(entry.values()):
            names.append(Name(**{**entry, "use": use}))  # type: ignore[arg-type]
    if "maiden_name" in flat:
        names.append(Name(family=flat["maiden_name"], use="maiden"))
    names.extend(_also_known_as(flat.get("alias", ""), reader))
    return tuple(dict.fromkeys(names))


def _also_known_as(text: str, reader: _Reader) -> Iterator[Name]:
    """Names in one column as HL7 v2 writes them (data type XPN): ``FAMILY^GIVEN^MIDDLE^SUFFIX``, ``~`` between two."""
    names = [name for name in text.split("~") if name.strip("^ ")]
    if len(names) > MAX_ENTRIES:
        reader.wrong("alias", "too_many")
        return
    for name in names:
        parts = (part.strip() or None for part in (*name.split("^"), "", "", ""))
        family, given, middle, suffix = islice(parts, 4)
        yield Name(given, middle, family, suffix, use="alias")


def _addresses(flat: dict[str, str], plural: object, reader: _Reader) -> tuple[Address, ...]:
    home = Address(
        line1=flat.get("address"),
        line2=flat.get("address2"),
        city=flat.get("city"),
        state=flat.get("state"),
        zip=flat.get("zip"),
        country=flat.get("country"),
    )
    others = (Address(**entry) for entry in reader.objects(plural, "addresses", _ADDRESS_FIELDS))
    return tuple(address for address in dict.fromkeys((home, *others)) if address != Address())


def _strings(
    flat: dict[str, str], columns: tuple[str, ...], plural: object, path: str, reader: _Reader
) -> tuple[str, ...]:
    own = (flat[column] for column in columns if column in flat)
    return tuple(dict.fromkeys((*own, *reader.texts(plural, path))))


def _identifiers(flat: dict[str, str], plural: object, reader: _Reader) -> tuple[Identifier, ...]:
    found = [Identifier("MRN", flat["mrn"])] if "mrn" in flat else []
    found.extend(
        Identifier(entry["kind"] or _ANY_KIND, entry["value"], entry["system"])
        for entry in reader.objects(plural, "identifiers", _IDENTIFIER_FIELDS)
        if entry["value"]
    )
    return tuple(dict.fromkeys(found))


def parse_key(source: object, source_id: object) -> RecordKey | None:
    """The record's key: both parts or neither (None).

    Raises ``InvalidInput`` when one part is missing, too long (128 and 255 characters), holds a control
    character or is not text.
    """
    reader = _Reader()
    parts = {
        "source": _key_part(source, "source", MAX_SOURCE, reader),
        "source_id": _key_part(source_id, "source_id", MAX_SOURCE_ID, reader),
    }
    if not reader.errors:
        missing = [path for path, part in parts.items() if part is None]
        if len(missing) == len(parts):
            return None
        for path in missing:
            reader.wrong(path, "missing")
    if reader.errors:
        paths = ", ".join(error["path"] for error in reader.errors)
        raise InvalidInput(
            f"source and source_id name a record together; unusable: {paths}", errors=reader.errors
        )
    return RecordKey(parts["source"] or "", parts["source_id"] or "")


def _key_part(value: object, path: str, longest: int, reader: _Reader) -> str | None:
    text = reader.text(value, path)
    if text is None:
        return None
    text = text.strip()
    if len(text) > longest:
        reader.wrong(path, "too_long")
    elif not text.isprintable() and any(unicodedata.category(char) == "Cc" for char in text):
        reader.wrong(path, "control_character")
    return text


def parse_recorded_at(text: str | None) -> datetime | None:
    """When the source recorded the registration: ISO 8601, without zone it is UTC; the result is in UTC.

    Raises ``ValueError``, or ``OverflowError`` for a time that UTC has no year for.
    """
    if text is None or not text.strip():
        return None
    moment = datetime.fromisoformat(text.strip())
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
