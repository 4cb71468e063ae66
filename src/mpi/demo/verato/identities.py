"""Identities as Verato writes them: the two versions of the payload, and what they say of a patient.

Inside, the simulator keeps the first version: lists of plain texts. The second wraps each text into an object.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mpi.domain.record import Address, Demographics, Name

Identity = dict[str, Any]
"""Lists by trait: ``names``, ``datesOfBirth``, ``ssns``, ``genders``, ``emails``, ``addresses``, ``phoneNumbers``."""

_WRAPPED = {
    "datesOfBirth": "dateOfBirth",
    "ssns": "ssn",
    "genders": "gender",
    "emails": "email",
}
_PLAIN = ("names", "addresses", "phoneNumbers")
TRAITS = (*_PLAIN, *_WRAPPED)


class Malformed(Exception):
    """The request is not of the form that the interface asks for; it is answered with a blank 400."""


def read_identity(value: object, version: str) -> Identity:
    """The traits of a submitted identity in the first version's form. Raises ``Malformed``."""
    if not isinstance(value, Mapping):
        raise Malformed
    return {trait: _entries(value.get(trait), trait, version) for trait in TRAITS}


def _entries(value: object, trait: str, version: str) -> list[Any]:
    entries = [] if value is None else value
    if not isinstance(entries, list):
        raise Malformed
    if trait in _PLAIN:
        if not all(isinstance(entry, Mapping) for entry in entries):
            raise Malformed
        return [dict(entry) for entry in entries]
    if version == "v2":
        member = _WRAPPED[trait]
        if not all(isinstance(entry, Mapping) for entry in entries):
            raise Malformed
        entries = [entry.get(member) for entry in entries]
    if not all(isinstance(entry, str) for entry in entries):
        raise Malformed
    return list(entries)


def write_identity(identity: Identity, version: str) -> Identity:
    """An identity in the form that the caller's version asks for."""
    if version == "v1":
        return identity
    return {
        trait: [{_WRAPPED[trait]: entry} for entry in entries] if trait in _WRAPPED else entries
        for trait, entries in identity.items()
    }


def together(identities: Sequence[Identity]) -> Identity:
    """Everything that several registrations say, each value once."""
    united: Identity = {trait: [] for trait in TRAITS}
    for identity in identities:
        for trait in TRAITS:
            united[trait] += [entry for entry in identity[trait] if entry not in united[trait]]
    return united


def demographics_of(identity: Identity) -> Demographics:
    """What the identity says, as a registration of ours would say it."""
    return Demographics(
        names=tuple(
            Name(entry.get("first"), entry.get("middle"), entry.get("last"), entry.get("suffix"))
            for entry in identity["names"]
        ),
        dob=next(iter(identity["datesOfBirth"]), None),
        sex=next(iter(identity["genders"]), None),
        ssn=next(iter(identity["ssns"]), None),
        addresses=tuple(
            Address(
                *(entry.get(part) for part in ("line1", "line2", "city", "state", "postalCode"))
            )
            for entry in identity["addresses"]
        ),
        phones=tuple(_phone(entry) for entry in identity["phoneNumbers"]),
        emails=tuple(identity["emails"]),
    )


def _phone(entry: Mapping[str, Any]) -> str:
    number = f"{entry.get('areaCode') or ''}{entry.get('number') or ''}"
    country = entry.get("countryCode")
    return f"+{country}{number}" if country else number
