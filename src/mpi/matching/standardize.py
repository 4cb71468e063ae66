"""Reading: from what a facility submitted to what can be compared.

One pass, pure. Whatever cannot be used is named in a warning (field and code, never the value) and left out;
the raw registration keeps it. Codes: ``placeholder`` stands for "not known", ``unreadable`` has no reading,
``impossible`` is a date or number that cannot exist, ``partial`` a date without its day, ``century`` one whose year
was written with two digits, ``shared`` a number that a whole family has, ``too_long``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import NamedTuple, TypeVar

from mpi.domain.record import Address, Demographics, Identifier, Name, TraitWarning, filled
from mpi.matching.addresses import (
    NO_STREET,
    Street,
    read_city,
    read_region,
    read_state,
    read_street,
    read_zip,
    restore_zip,
)
from mpi.matching.dates import ReadDate, read_date
from mpi.matching.folding import words
from mpi.matching.names import (
    FamilyName,
    GivenName,
    part_given,
    read_family,
    read_given,
    read_middle,
    read_suffix,
    split_whole_name,
)
from mpi.matching.newborns import NOT_A_NEWBORN, goes_on, read_newborn
from mpi.matching.numbers import (
    ReadNumber,
    read_birth_order,
    read_email,
    read_identifier,
    read_multiple_birth,
    read_phone,
    read_sex,
    read_ssn,
)
from mpi.matching.placeholders import DEFAULT, Placeholders
from mpi.matching.record import StandardAddress, StandardRecord
from mpi.matching.text_cache import remembered

MAX_TEXT = 1_000
"""Longer text is no trait of a person; it is kept raw and not read."""

# Kinds of identifiers that are social security numbers: HL7 table 0203 (SS) and plain speech.
_SSN_KINDS = frozenset(("SS", "SSN"))
_Part = TypeVar("_Part", GivenName, FamilyName)
_USES = {"official": 0, "alias": 1, "maiden": 2}


def standardize(
    demographics: Demographics, placeholders: Placeholders = DEFAULT
) -> tuple[StandardRecord, tuple[TraitWarning, ...]]:
    """The comparison form and what was left out of it. Never fails: a bad trait is not a bad record."""
    reader = _Reader(placeholders)
    given, middle, family, suffix = reader.names(demographics.names)
    born = reader.date(demographics.dob, "dob")
    number = reader.ssn(demographics)
    child = NOT_A_NEWBORN if given else reader.newborn
    record = StandardRecord(
        given=given,
        middle=middle,
        family=family,
        suffix=suffix,
        dob=born.iso,
        dob_damaged=born.damaged,
        sex=reader.code(demographics.sex, "sex", read_sex) or child.sex,
        ssn=number.ssn,
        ssn_last4=number.last4,
        national_id=number.national_id,
        addresses=reader.addresses(demographics.addresses),
        phones=reader.phones(demographics),
        emails=reader.emails(demographics.emails),
        identifiers=reader.identifiers(demographics.identifiers),
        mothers_maiden=reader.mothers_maiden(demographics.mothers_maiden_name),
        birth_order=reader.code(demographics.birth_order, "birth_order", read_birth_order)
        or child.birth_order,
        multiple_birth=reader.code(
            demographics.multiple_birth, "multiple_birth", read_multiple_birth
        )
        or child.multiple_birth,
        deceased=reader.date(demographics.deceased_date, "deceased_date").iso,
    )
    return record, tuple(reader.warnings)


class _Reader:
    """Reads the traits of one record and gathers the warnings."""

    __slots__ = ("_placeholders", "newborn", "warnings")

    def __init__(self, placeholders: Placeholders) -> None:
        self._placeholders = placeholders
        self.warnings: list[TraitWarning] = []
        self.newborn = NOT_A_NEWBORN
        """What a name that stands for a newborn tells; nothing else tells BABY BOY A from BABY BOY B."""

    def warn(self, field: str, code: str) -> None:
        if code:
            self.warnings.append(TraitWarning(field, code))

    def usable(self, text: str | None, field: str) -> str:
        if not text:
            return ""
        if len(text) > MAX_TEXT:
            self.warn(field, "too_long")
            return ""
        return text

    def code(self, text: str | None, field: str, read: Callable[[str], str | None]) -> str:
        """A trait of few values; an unknown word is reported unless it says that nothing is known."""
        usable = self.usable(text, field)
        if not usable:
            return ""
        value = read(usable)
        if value is None:
            known = self._placeholders.has("text", " ".join(words(usable)))
            self.warn(field, "placeholder" if known else "unreadable")
        return value or ""

    def date(self, text: str | None, field: str) -> ReadDate:
        usable = self.usable(text, field)
        if not usable:
            return ReadDate()
        read = read_date(usable)
        digits = read.iso.replace("-", "") or read.damaged
        if self._is_no_date(usable, digits):
            self.warn(field, "placeholder")
            return ReadDate()
        self.warn(field, read.warning)
        return read

    def _is_no_date(self, text: str, digits: str) -> bool:
        if not digits:
            return self._placeholders.has("text", " ".join(words(text)))
        return self._placeholders.has("date", digits) or not digits.strip("0")

    def ssn(self, demographics: Demographics) -> ReadNumber:
        """The SSN column, or else an identifier that says it is one."""
        read = self._ssn(demographics.ssn, "ssn")
        for index, identifier in enumerate(demographics.identifiers):
            if identifier.kind.upper() in _SSN_KINDS:
                other = self._ssn(identifier.value, f"identifiers[{index}]")
                if not (read.ssn or read.national_id) and (other.ssn or not read.last4):
                    read = other
        return read

    def _ssn(self, text: str | None, field: str) -> ReadNumber:
        usable = self.usable(text, field)
        if not usable:
            return ReadNumber()
        read = read_ssn(usable, self._placeholders)
        self.warn(field, read.warning)
        return read

    def phones(self, demographics: Demographics) -> tuple[str, ...]:
        if not demographics.phones:
            return ()
        country = demographics.addresses[0].country if demographics.addresses else None
        region = read_region(self.usable(country, "country")) if country else "US"
        return self._each(
            demographics.phones,
            ("phone", "phone2"),
            "phones",
            lambda text: read_phone(text, region, self._placeholders),
        )

    def emails(self, emails: tuple[str, ...]) -> tuple[str, ...]:
        if not emails:
            return ()
        return self._each(
            emails, ("email",), "emails", lambda text: read_email(text, self._placeholders)
        )

    def _each(
        self,
        texts: tuple[str, ...],
        columns: tuple[str, ...],
        plural: str,
        read: Callable[[str], tuple[str, str]],
    ) -> tuple[str, ...]:
        values: list[str] = []
        for index, text in enumerate(texts):
            field = columns[index] if index < len(columns) else f"{plural}[{index}]"
            usable = self.usable(text, field)
            if usable:
                value, warning = read(usable)
                self.warn(field, warning)
                if value and value not in values:
                    values.append(value)
        return tuple(values)

    def identifiers(self, identifiers: tuple[Identifier, ...]) -> tuple[str, ...]:
        values: list[str] = []
        for index, identifier in enumerate(identifiers):
            field = "mrn" if identifier.kind == "MRN" else f"identifiers[{index}]"
            usable = self.usable(identifier.value, field)
            if usable and identifier.kind.upper() not in _SSN_KINDS:
                value, warning = read_identifier(
                    identifier.kind, identifier.system, usable, self._placeholders
                )
                self.warn(field, warning)
                if value and value not in values:
                    values.append(value)
        return tuple(values)

    def mothers_maiden(self, text: str | None) -> str:
        usable = self.usable(text, "mothers_maiden_name")
        if usable and self._placeholders.has("mothers_maiden", " ".join(words(usable))):
            self.warn("mothers_maiden_name", "placeholder")
            return ""
        return " ".join(self._part("family", read_family, usable, "mothers_maiden_name").family)

    def addresses(self, addresses: tuple[Address, ...]) -> tuple[StandardAddress, ...]:
        read = [self._address(address, index) for index, address in enumerate(addresses)]
        return tuple(address for address in dict.fromkeys(read) if address != _NO_ADDRESS)

    def _address(self, address: Address, index: int) -> StandardAddress:
        columns = _ADDRESS_COLUMNS if index == 0 else _plural_columns("addresses", index)
        line1 = self._place(address.line1, columns["line1"], "street")
        line2 = self._place(address.line2, columns["line2"], "street")
        city = self._place(address.city, columns["city"], "city")
        state = self._place(address.state, columns["state"], "state")
        region = read_state(state) if state else ""
        street = self._street(line1, line2, columns["line1"])
        return StandardAddress(
            house=street.house,
            street=street.street,
            core=street.core,
            unit=street.unit,
            city=read_city(city) if city else "",
            state=region,
            zip=self._zip(address, region, columns["zip"]),
        )

    def _street(self, line1: str, line2: str, field: str) -> Street:
        """Without what says that there is none in the form of one: ``0000 UNKNOWN ST``."""
        street = read_street(line1, line2) if line1 or line2 else NO_STREET
        if street.core and self._placeholders.has("street_name", street.core):
            self.warn(field, "placeholder")
            return NO_STREET
        return street

    def _place(self, text: str | None, field: str, trait: str) -> str:
        usable = self.usable(text, field)
        if usable and self._placeholders.has(trait, _phrase(usable)):
            self.warn(field, "placeholder")
            return ""
        return usable

    def _zip(self, address: Address, state: str, field: str) -> str:
        usable = self.usable(address.zip, field)
        if not usable:
            return ""
        code = restore_zip(read_zip(usable), state, address.country or "")
        if self._placeholders.has("zip", code):
            self.warn(field, "placeholder")
            return ""
        return code

    def names(
        self, names: tuple[Name, ...]
    ) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...], str]:
        """Given, middle and family tokens of all names and the suffix, the official name first."""
        given: list[str] = []
        middle: list[str] = []
        family: list[str] = []
        suffix = ""
        for index, name in sorted(enumerate(names), key=lambda item: _USES[item[1].use]):
            read = self._name(name, _name_columns(name, index))
            given += read.given
            middle += read.middle
            family += read.family
            suffix = suffix or read.suffix
        return _distinct(given), _distinct(middle), _distinct(family), suffix

    def _name(self, name: Name, columns: Mapping[str, str]) -> _WholeName:
        given_text = self.usable(name.given, columns["given"])
        family_text = self.usable(name.family, columns["family"])
        if bool(given_text) != bool(family_text):
            whole = split_whole_name(given_text or family_text)
            if whole is not None:
                family_text, given_text = whole
        middle_text = self.usable(name.middle, columns["middle"])
        written = read_given(given_text).written
        if middle_text and goes_on(written, middle_text, self._placeholders):
            given_text, middle_text = f"{given_text} {middle_text}", ""
        given = self._part("given", read_given, given_text, columns["given"])
        if given_text and not given.written and self.newborn == NOT_A_NEWBORN:
            self.newborn = read_newborn(read_given(given_text).written, self._placeholders)
        family = self._part("family", read_family, family_text, columns["family"])
        middle = self._part("middle", read_middle, middle_text, columns["middle"])
        suffix = self.code(name.suffix, columns["suffix"], read_suffix)
        suffix = suffix or family.suffix or given.suffix or middle.suffix
        if self._placeholders.is_pair(given.given, family.family):
            self.warn(columns["given"], "placeholder")
            self.warn(columns["family"], "placeholder")
            return _WholeName((), middle.middle, (), suffix)
        first, further = part_given(given.given, (*middle.middle, *given.middle))
        return _WholeName(first, further, family.family, suffix)

    def _part(self, trait: str, read: Callable[[str], _Part], text: str, field: str) -> _Part:
        """A part of a name as its reader understands it; empty where it says nothing."""
        part = read(text)
        if not text:
            return part
        if not part.written:
            self.warn(field, "unreadable")
        elif self._placeholders.is_name(trait, part.written):
            self.warn(field, "placeholder")
        else:
            return part
        return read("")


_NO_ADDRESS = StandardAddress()


class _WholeName(NamedTuple):
    given: tuple[str, ...]
    middle: tuple[str, ...]
    family: tuple[str, ...]
    suffix: str

    def __repr__(self) -> str:
        return filled(self, self._fields)


# The flat columns that the first address and the official name arrive in.
_ADDRESS_COLUMNS = {
    "line1": "address",
    "line2": "address2",
    "city": "city",
    "state": "state",
    "zip": "zip",
}
_NAME_COLUMNS = {
    "given": "first_name",
    "middle": "middle_name",
    "family": "last_name",
    "suffix": "suffix",
}


def _name_columns(name: Name, index: int) -> Mapping[str, str]:
    if name.use == "maiden":
        return {**_plural_columns("names", index), "family": "maiden_name"}
    return _NAME_COLUMNS if index == 0 else _plural_columns("names", index)


@lru_cache(maxsize=256)
def _plural_columns(plural: str, index: int) -> Mapping[str, str]:
    parts = _NAME_COLUMNS if plural == "names" else _ADDRESS_COLUMNS
    return {part: f"{plural}[{index}].{part}" for part in parts}


# Cities and states come again with every patient.
@remembered(32_768)
def _phrase(text: str) -> str:
    return " ".join(words(text))


def _distinct(tokens: list[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(tokens))
