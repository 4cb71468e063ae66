"""Identities in Verato's two payload versions, and its answers read with suspicion."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from mpi.domain.identity import StoredRecord
from mpi.domain.record import Address, Demographics, Guarded, Name, RecordKey
from mpi.matching.record import StandardRecord
from mpi.providers.verato.outcome import CallOutcome, Reason

Content = dict[str, Any]

_MEMBERS: Mapping[str, type] = {"searchResults": list, "notifications": list}
"""What the members are of which a success says something. Others are ids, which are opaque texts."""

_LONGEST_ID = 255

# North American numbers are the only ones whose area code has a fixed length.
_NANP = re.compile(r"\+1(\d{3})(\d{7})")


@dataclass(frozen=True, slots=True)
class PayloadForm:
    """How values are written for one customer: the accepted forms are not documented.

    ``version`` is v1 or v2; ``sources`` maps our source names to Verato's, others stay as they are.
    """

    version: str = "v1"
    date_format: str = "iso"  # iso: 1980-01-02, digits: 19800102
    ssn_format: str = "digits"  # digits: 123456789, dashed: 123-45-6789
    formats: tuple[str, ...] = ("DEFAULT",)
    sources: Mapping[str, str] = field(default_factory=dict)

    def source(self, key: RecordKey) -> dict[str, str]:
        """A record's ids as Verato names them."""
        return {"name": self.sources.get(key.source, key.source), "id": key.source_id}

    def names(self, source: str) -> bool:
        """Whether a source of ours has a name of its own there: one that is not mapped keeps its own, unless another
        goes by that."""
        return source in self.sources or source not in self.sources.values()

    def ours(self, name: str) -> Iterator[str]:
        """Our name of a source of Verato's, if it has one."""
        yield from (source for source, theirs in self.sources.items() if theirs == name)
        if name not in self.sources and self.names(name):
            yield name

    def identity(self, record: StoredRecord, *, posted: bool) -> Content:
        """Everything that is known of the patient but placeholders; with its ids when it is to be ``posted``."""
        standard: StandardRecord = record.standard
        identity: Content = {
            "names": _names(record.demographics, standard),
            "addresses": _addresses(record.demographics, standard),
            "phoneNumbers": [_phone(phone) for phone in standard.phones],
        }
        date = standard.dob if self.date_format == "iso" else standard.dob.replace("-", "")
        number = standard.ssn
        if number and self.ssn_format == "dashed":
            number = f"{number[:3]}-{number[3:5]}-{number[5:]}"
        sex = standard.sex if standard.sex in {"M", "F"} else ""
        for trait, member, values in (
            ("datesOfBirth", "dateOfBirth", (date,)),
            ("ssns", "ssn", (number,)),
            ("genders", "gender", (sex,)),
            ("emails", "email", standard.emails),
        ):
            known = [value for value in values if value]
            identity[trait] = (
                known if self.version == "v1" else [{member: value} for value in known]
            )
        filled = {trait: values for trait, values in identity.items() if values}
        return filled | {"sources": [self.source(record.key)]} if posted else filled


def _names(raw: Demographics, standard: StandardRecord) -> list[dict[str, str]]:
    """The names as they were given, unless nothing in them was a name."""
    if not (standard.given or standard.family):
        return []
    return [_filled(_name(name)) for name in raw.names]


def _name(name: Name) -> dict[str, str | None]:
    return {"first": name.given, "middle": name.middle, "last": name.family, "suffix": name.suffix}


def _addresses(raw: Demographics, standard: StandardRecord) -> list[dict[str, str]]:
    if not standard.addresses:
        return []
    return [_filled(_address(address)) for address in raw.addresses]


def _address(address: Address) -> dict[str, str | None]:
    return {
        "line1": address.line1,
        "line2": address.line2,
        "city": address.city,
        "state": address.state,
        "postalCode": address.zip,
    }


def _filled(members: Mapping[str, str | None]) -> dict[str, str]:
    return {name: value for name, value in members.items() if value}


def _phone(number: str) -> dict[str, str]:
    american = _NANP.fullmatch(number)
    if american is None:
        return {"number": number}
    return {"countryCode": "1", "areaCode": american[1], "number": american[2]}


@dataclass(frozen=True, slots=True, repr=False)
class Reply(Guarded):
    """One call's end. ``content`` may hold demographics; Verato's message may name ids, so it is not kept.

    ``sent`` says that Verato may have received the request; ``retry_after`` what it asked for, in seconds.
    """

    outcome: CallOutcome
    reason: Reason = Reason.NONE
    content: Content = field(default_factory=dict)
    tracking_id: str = ""
    audit_id: str | None = None
    sent: bool = True
    retry_after: float | None = None

    @property
    def link_id(self) -> str | None:
        """The person that Verato names."""
        found = self.content.get("linkId")
        return found if isinstance(found, str) and found else None


def read_reply(body: bytes, tracking_id: str, member: str, overlay: re.Pattern[str]) -> Reply:
    """What a 200 means, when a success says something in ``member`` of its content.

    Members that are not known are passed over; what has no envelope is no answer. The documented "not found" has
    ``success: true``, no content and an empty tracking id.
    """
    try:
        envelope = orjson.loads(body)
    except orjson.JSONDecodeError:
        envelope = None
    if not isinstance(envelope, dict) or not isinstance(envelope.get("success"), bool):
        return _no_answer(tracking_id)
    content = envelope.get("content") or {}
    ours = envelope.get("trackingId") in (None, "", tracking_id)
    if not ours or not isinstance(content, dict):
        return _no_answer(tracking_id)
    if not _is_one(content.get(member), _MEMBERS.get(member, str)):
        return _no_answer(tracking_id)
    audit_id = envelope.get("auditId")
    told = audit_id if _is_one(audit_id, str) else None
    if envelope["success"]:
        outcome = CallOutcome.LINKED if content.get(member) else CallOutcome.NO_MATCH
        return Reply(outcome, Reason.NONE, content, tracking_id, told)
    overlaid = overlay.search(str(envelope.get("message") or "")) is not None
    outcome = CallOutcome.OVERLAY_REJECTED if overlaid else CallOutcome.REJECTED
    return Reply(outcome, Reason.REFUSED, {}, tracking_id, told)


def _is_one(said: Any, kind: type) -> bool:
    """Whether it may stand where one of the kind is expected: an id has to be kept, so it has a length."""
    if isinstance(said, str) and len(said) > _LONGEST_ID:
        return False
    return isinstance(said, kind | None)


def _no_answer(tracking_id: str) -> Reply:
    return Reply(CallOutcome.PROTOCOL_ERROR, Reason.NOT_VERATO, tracking_id=tracking_id)
