"""The sources and their habits: how each of them writes what it is told, and what it leaves out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from mpi.demo.draw import Weighted
from mpi.demo.places import Residence

Date = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Facility:
    """One source. The callables render a value; rates (0 to 1) are per registration.

    ``omits`` names columns that the facility never fills; ``id_form`` shapes a source id from a
    number; ``placeholders`` is how often a missing value is filled up with a well-known dummy.
    """

    name: str
    share: int
    id_form: str
    date: Callable[[Date], str]
    phone: Callable[[str], str]
    ssn: Callable[[str], str]
    address: Callable[[Residence], tuple[str, str]]
    city: Callable[[Residence], str] = lambda home: home.city.name
    sexes: tuple[str, str] = ("M", "F")
    upper: bool = False
    plus4: bool = False
    middle_initial: float = 0.0
    middle_in_given: float = 0.0
    suffix_in_family: float = 0.0
    nickname: float = 0.02
    swapped: float = 0.001
    placeholders: float = 0.0
    native_script: float = 0.0
    maiden: float = 0.3
    mothers_maiden: float = 0.2
    omits: frozenset[str] = frozenset()


def _iso(when: Date) -> str:
    return f"{when[0]:04d}-{when[1]:02d}-{when[2]:02d}"


def _us(when: Date) -> str:
    return f"{when[1]:02d}/{when[2]:02d}/{when[0]:04d}"


def _hl7(when: Date) -> str:
    return f"{when[0]:04d}{when[1]:02d}{when[2]:02d}"


def _dashed_phone(digits: str) -> str:
    return f"{digits[:3]}-{digits[3:6]}-{digits[6:]}"


def _bracketed_phone(digits: str) -> str:
    return f"({digits[:3]}) {digits[3:6]}-{digits[6:]}"


def _dotted_phone(digits: str) -> str:
    return f"{digits[:3]}.{digits[3:6]}.{digits[6:]}"


def _international_phone(digits: str) -> str:
    return f"+1 {digits[:3]} {digits[3:6]} {digits[6:]}"


def _dashed_ssn(digits: str) -> str:
    return f"{digits[:3]}-{digits[3:5]}-{digits[5:]}"


def _last_four(digits: str) -> str:
    return digits[-4:]


def _line(home: Residence, form: int) -> str:
    """The first line with long (0) or short (1) forms of direction and street type."""
    if home.is_box:
        return f"P.O. Box {home.number}" if form == 0 else f"PO BOX {home.number}"
    parts = (home.number, home.direction[form], home.street, home.kind[form])
    return " ".join(part for part in parts if part)


def _full(home: Residence) -> tuple[str, str]:
    return _line(home, 0), f"Apt {home.unit}" if home.unit else ""


def _abbreviated(home: Residence) -> tuple[str, str]:
    return f"{_line(home, 1)}{'' if home.is_box else '.'}", f"#{home.unit}" if home.unit else ""


def _postal(home: Residence) -> tuple[str, str]:
    return _line(home, 1) + (f" APT {home.unit}" if home.unit else ""), ""


def _second_line(home: Residence) -> tuple[str, str]:
    return _line(home, 1), f"Unit {home.unit}" if home.unit else ""


def _in_one(home: Residence) -> tuple[str, str]:
    return _line(home, 0) + (f", Apartment {home.unit}" if home.unit else ""), ""


def _short_city(home: Residence) -> str:
    return home.city.name.replace("Saint ", "St. ").replace("Fort ", "Ft ")


_UNIVERSITY = Facility(
    name="HOSP-A",
    share=26,
    id_form="{:010d}",
    date=_iso,
    phone=_dashed_phone,
    ssn=_dashed_ssn,
    address=_full,
    native_script=0.5,
    mothers_maiden=0.5,
)
_COUNTY = Facility(
    name="HOSP-B",
    share=18,
    id_form="B{:010d}",
    date=_us,
    phone=_bracketed_phone,
    ssn=str,
    address=_abbreviated,
    city=_short_city,
    sexes=("Male", "Female"),
    middle_initial=1.0,
    middle_in_given=0.35,
    mothers_maiden=0.4,
)
_LABORATORY = Facility(
    name="LAB-C",
    share=16,
    id_form="{:d}",
    date=_hl7,
    phone=str,
    ssn=_last_four,
    address=_postal,
    upper=True,
    middle_initial=0.9,
    omits=frozenset({"email", "phone2", "maiden_name", "mothers_maiden_name", "mrn"}),
)
_CLINIC = Facility(
    name="CLINIC-D",
    share=12,
    id_form="D-{:010d}",
    date=_iso,
    phone=_dotted_phone,
    ssn=_dashed_ssn,
    address=_in_one,
    nickname=0.4,
    swapped=0.05,
    native_script=0.2,
    omits=frozenset({"mrn", "suffix"}),
)
_EMERGENCY = Facility(
    name="ED-E",
    share=10,
    id_form="E{:010d}",
    date=_iso,
    phone=_dashed_phone,
    ssn=_dashed_ssn,
    address=_second_line,
    placeholders=0.5,
    nickname=0.1,
    omits=frozenset({"email", "middle_name"}),
)
_PAYER = Facility(
    name="PAYER-F",
    share=12,
    id_form="W{:010d}",
    date=_us,
    phone=_dashed_phone,
    ssn=str,
    address=_postal,
    upper=True,
    plus4=True,
    suffix_in_family=0.8,
    nickname=0.0,
    omits=frozenset({"phone", "phone2", "email", "mrn", "mothers_maiden_name"}),
)
_URGENT = Facility(
    name="URGENT-G",
    share=6,
    id_form="{:010d}-UC",
    date=_us,
    phone=_international_phone,
    ssn=str,
    address=_abbreviated,
    city=_short_city,
    middle_initial=0.7,
    nickname=0.15,
    omits=frozenset({"ssn", "mothers_maiden_name", "maiden_name"}),
)

FACILITIES: Weighted[Facility] = Weighted(
    (facility, facility.share)
    for facility in (
        _UNIVERSITY,
        _COUNTY,
        _LABORATORY,
        _CLINIC,
        _EMERGENCY,
        _PAYER,
        _URGENT,
    )
)
WARDS = (_UNIVERSITY, _COUNTY)
"""Where children are born."""
