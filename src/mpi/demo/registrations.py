"""A person at a registration desk: what the desk writes down, and the truth behind it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import NamedTuple

from mpi.demo.draw import Draw
from mpi.demo.facilities import FACILITIES, WARDS, Facility
from mpi.demo.names import nickname, unaccented
from mpi.demo.noise import NoiseProfile, misdate, misdial, misspell
from mpi.demo.numbering import registration_number
from mpi.demo.people import CLOSING, OPENING, Person, at
from mpi.demo.places import Residence

COLUMNS = (
    "source source_id recorded_at ssn first_name middle_name last_name suffix maiden_name "
    "mothers_maiden_name dob sex address address2 city state zip country phone phone2 email mrn "
    "birth_order multiple_birth deceased_date"
).split()
Row = dict[str, str]

_NO_SSN = "999999999"
_NO_PHONE = "5555555555"
_NO_BIRTH = (1900, 1, 1)
_UNKNOWN = "UNKNOWN"
_SHOUTED = (
    "first_name middle_name last_name maiden_name mothers_maiden_name address address2 city"
).split()
# Registrations with a ward's placeholder name happen in the first days.
_WARD_DAYS = 3


class Truth(NamedTuple):
    """Whose registration it is. ``tags`` say what makes it hard: what is special about the
    person (twin, renamed, ...) and what went wrong at the desk (typo_dob, placeholder, ...)."""

    source: str
    source_id: str
    entity_id: str
    household_id: str
    tags: tuple[str, ...]

    @property
    def rec_id(self) -> str:
        return f"{self.source}|{self.source_id}"


def registrations(person: Person, draw: Draw, profile: NoiseProfile) -> Iterator[tuple[Row, Truth]]:
    """All registrations of a person, oldest first. Rows have every column; '' is missing."""
    first, last = max(OPENING, person.birth_day), min(CLOSING, person.death_day or CLOSING)
    days = sorted(draw.between(first, last) for _ in range(person.registrations))
    if person.baby_name:
        days[0] = draw.between(first, min(first + _WARD_DAYS, last))
    for ordinal, day in enumerate(days):
        on_ward = bool(person.baby_name) and ordinal == 0
        facility = draw.pick(WARDS) if on_ward else FACILITIES.draw(draw)
        if person.slot == 0:  # John Smith's two registrations, one at each hospital
            facility = WARDS[ordinal % len(WARDS)]
        desk = Desk(person, day, facility, draw, profile)
        yield desk.register(ordinal)


class Desk:
    """One registration being written down."""

    __slots__ = ("_day", "_draw", "_facility", "_minor", "_person", "_profile", "_row", "_tags")

    def __init__(
        self, person: Person, day: int, facility: Facility, draw: Draw, profile: NoiseProfile
    ) -> None:
        self._person, self._day, self._facility = person, day, facility
        self._draw, self._profile = draw, profile
        self._row: Row = dict.fromkeys(COLUMNS, "")
        self._tags = list(person.tags)
        self._minor = person.guardian is not None and day - person.birth_day < 6574

    def register(self, ordinal: int) -> tuple[Row, Truth]:
        person, facility, row = self._person, self._facility, self._row
        number = registration_number(person.slot, ordinal)
        row["source"] = facility.name
        row["source_id"] = facility.id_form.format(number)
        row["mrn"] = str(number)
        second = self._draw.below(54_000) + 21_600
        row["recorded_at"] = (
            f"{date.fromordinal(self._day).isoformat()}"
            f"T{second // 3600:02d}:{second // 60 % 60:02d}:{second % 60:02d}Z"
        )
        self._write_name()
        self._write_birth()
        self._write_ssn()
        self._write_address()
        self._write_contact()
        for column in facility.omits:
            row[column] = ""
        if facility.upper:
            self._shout()
        truth = Truth(
            facility.name,
            row["source_id"],
            person.entity_id,
            person.household_id,
            tuple(self._tags),
        )
        return row, truth

    def _goes_wrong(self, rate: float, tag: str) -> bool:
        if self._draw.random() >= rate:
            return False
        self._tags.append(tag)
        return True

    def _habit(self, rate: float) -> bool:
        return self._draw.random() < rate * self._profile.habits

    def _dummy(self) -> bool:
        """Whether the desk fills a missing value with a dummy."""
        if not self._habit(self._facility.placeholders):
            return False
        self._tags.append("placeholder")
        return True

    def _write_name(self) -> None:
        person, row, draw, profile = self._person, self._row, self._draw, self._profile
        given, family = person.given, at(person.surnames, self._day)
        middle, suffix = person.middle, person.suffix
        if self._nameless():
            given, middle, suffix = person.baby_name, "", ""
            mother = person.guardian
            if mother is not None and person.mothers_maiden and draw.chance(0.3):
                family = person.mothers_maiden
            self._tags.append("baby_name")
        elif person.native_given and self._habit(self._facility.native_script):
            given, family, middle = person.native_given, person.native_family or family, ""
        else:
            given, family, middle = self._spoken(given, family, middle)
        if draw.random() < profile.missing_suffix:
            suffix = ""
        if suffix and draw.chance(self._facility.suffix_in_family):
            family, suffix = f"{family} {suffix}", ""
        if self._habit(self._facility.swapped):
            given, family = family, given
            self._tags.append("swapped_names")
        row["first_name"], row["middle_name"] = given, middle
        row["last_name"], row["suffix"] = family, suffix
        if person.maiden != at(person.surnames, self._day) and draw.chance(self._facility.maiden):
            row["maiden_name"] = person.maiden
        if self._minor and draw.chance(self._facility.mothers_maiden):
            row["mothers_maiden_name"] = person.mothers_maiden

    def _nameless(self) -> bool:
        person = self._person
        if not person.baby_name:
            return False
        return not person.renamed or self._day - person.birth_day <= _WARD_DAYS

    def _spoken(self, given: str, family: str, middle: str) -> tuple[str, str, str]:
        """The Latin name as the desk hears and types it."""
        draw, profile, facility = self._draw, self._profile, self._facility
        if self._habit(facility.nickname):
            short = nickname(draw, given)
            if short != given:
                given = short
                self._tags.append("nickname")
        if self._goes_wrong(profile.typo_given, "typo_given"):
            given = misspell(draw, given)
        if self._goes_wrong(profile.typo_family, "typo_family"):
            family = misspell(draw, family)
        if draw.random() < profile.missing_middle:
            middle = ""
        if middle and draw.chance(facility.middle_initial):
            middle = middle[0]
        if middle and draw.chance(facility.middle_in_given):
            given, middle = f"{given} {middle[0]}", ""
        if self._goes_wrong(profile.missing_given, "missing_given"):
            given = _UNKNOWN if self._dummy() else ""
        return given, family, middle

    def _write_birth(self) -> None:
        person, row, draw, profile = self._person, self._row, self._draw, self._profile
        born = date.fromordinal(person.birth_day)
        when = (born.year, born.month, born.day)
        if self._goes_wrong(profile.typo_dob, "typo_dob"):
            when = misdate(draw, when)
        elif when[2] <= 12 and when[1] != when[2] and draw.random() < profile.swap_day_month:
            when = (when[0], when[2], when[1])
            self._tags.append("swapped_dates")
        row["dob"] = self._facility.date(when)
        if self._goes_wrong(profile.missing_dob, "missing_dob"):
            row["dob"] = self._facility.date(_NO_BIRTH) if self._dummy() else ""
        elif self._goes_wrong(profile.unreadable_dob, "unreadable_dob"):
            row["dob"] = row["dob"].replace("0", "O", 1) if "0" in row["dob"] else row["dob"] + "?"
        male = person.sex == "M"
        if self._goes_wrong(profile.wrong_sex, "wrong_sex"):
            male = not male
        if draw.random() >= profile.missing_sex:
            row["sex"] = self._facility.sexes[0 if male else 1]
        if person.birth_order and self._minor:
            row["birth_order"], row["multiple_birth"] = person.birth_order, "Y"
        if person.death_day is not None and draw.chance(0.5):
            died = date.fromordinal(person.death_day)
            row["deceased_date"] = self._facility.date((died.year, died.month, died.day))
            self._tags.append("deceased")

    def _write_ssn(self) -> None:
        person, draw, profile = self._person, self._draw, self._profile
        if "ssn" in self._facility.omits:
            return
        number = person.ssn
        if self._nameless() or draw.random() < profile.missing_ssn:
            number = ""
        lender = person.guardian if self._minor else person.partner
        if lender is not None and lender.ssn and draw.random() < profile.family_ssn:
            number = lender.ssn
            self._tags.append("family_ssn")
        if number and self._goes_wrong(profile.typo_ssn, "typo_ssn"):
            number = misdial(draw, number)
        if not number and self._dummy():
            number = _NO_SSN
        if number:
            self._row["ssn"] = self._facility.ssn(number)

    def _home(self) -> Residence:
        """Where the person lives, or where the files still believe so."""
        residences, day = self._person.residences, self._day
        home = at(residences, day)
        if len(residences) > 1 and self._draw.random() < self._profile.stale_address:
            former = residences[0][1]
            if former is not home:
                self._tags.append("stale_address")
                return former
        return home

    def _write_address(self) -> None:
        row, draw, profile, facility = self._row, self._draw, self._profile, self._facility
        if draw.random() < profile.missing_address:
            row["address"] = _UNKNOWN if self._dummy() else ""
            return
        home = self._home()
        line, second = facility.address(home)
        if self._goes_wrong(profile.typo_address, "typo_address"):
            number, space, rest = line.partition(" ")
            if draw.chance(0.4) and number.isdigit() and len(number) > 1:
                line = misdial(draw, number) + space + rest
            else:
                line = number + space + misspell(draw, rest)
        row["address"], row["address2"] = line, second
        row["city"], row["state"] = facility.city(home), home.city.state
        row["zip"] = f"{home.zip}-{home.plus4}" if facility.plus4 else home.zip
        row["country"] = "US"

    def _write_contact(self) -> None:
        row, draw, profile, facility = self._row, self._draw, self._profile, self._facility
        mobile, email = self._person.mobile, self._person.email
        lender = self._person.guardian if self._minor else None
        if lender is not None:
            mobile, email = lender.phone or mobile, lender.email or email
        landline = at(self._person.residences, self._day).landline
        phones = [number for number in (mobile, landline) if number]
        if len(phones) == 2 and draw.chance(0.25):
            phones.reverse()
        if "phone" in facility.omits:
            phones = []
        if phones and self._goes_wrong(profile.typo_phone, "typo_phone"):
            phones[0] = misdial(draw, phones[0])
        if not phones or draw.random() < profile.missing_phone:
            phones = [_NO_PHONE] if self._dummy() else []
        if phones:
            row["phone"] = facility.phone(phones[0])
        if len(phones) == 2 and draw.chance(0.3):
            row["phone2"] = facility.phone(phones[1])
        if email and "email" not in facility.omits and draw.random() >= profile.missing_email:
            if self._goes_wrong(profile.typo_email, "typo_email"):
                local, _, domain = email.partition("@")
                email = f"{misspell(draw, local)}@{domain}"
            row["email"] = email

    def _shout(self) -> None:
        """Capitals without accents, as old systems write."""
        row = self._row
        for column in _SHOUTED:
            row[column] = unaccented(row[column]).upper()
