"""Dates as registration desks write them. What cannot be read with certainty is never guessed."""

from __future__ import annotations

import re
from calendar import monthrange
from dataclasses import dataclass

from mpi.matching.folding import fold
from mpi.matching.text_cache import remembered

FIRST_YEAR, LAST_YEAR = 1500, 2100
"""Archives and registers keep people of earlier centuries; the clock is not asked, so the far end is generous."""

_FIRST_IN_DIGITS = 1850
"""What is written in digits alone comes from an information system, and so of people in care."""

_LAST_SHORT_YEAR = 26
"""A year of two digits after this one belongs to the last century. A constant and no clock: the same text has to read
the same tomorrow, and the comparator takes dates a hundred years apart for one."""

_NOT_KNOWN = frozenset(("0", "00", "99", "XX"))
"""Day or month of a date of which only the rest is known."""

_MONTHS = {
    name: number
    for number, name in enumerate(
        "JAN FEB MAR APR MAY JUN JUL AUG SEP OCT NOV DEC".split(), start=1
    )
}

# ISO 8601 and FHIR: year first, parts may be missing, a time may follow.
_YEAR_FIRST = re.compile(r"(\d{4})(?:[-/. ](\d{1,2})(?:[-/. ](\d{1,2})(?:[T ].*)?)?)?$")
# HL7 v2 DT, TS and DTM: YYYY[MM[DD[HHMM[SS[.S]]]]][+/-ZZZZ].
_HL7 = re.compile(r"(\d{4})(\d{2})(?:(\d{2})(?:\d{2,6}(?:\.\d+)?(?:[+-]\d{4})?)?)?$")
# US convention: month first; a time may follow.
_YEAR_LAST = re.compile(r"(\d{1,2}|XX)[-/. ](\d{1,2}|XX)[-/. ](\d{4})(?:[T ].*)?$")
_SHORT_YEAR_LAST = re.compile(r"(\d{1,2})([-/. ])(\d{1,2})\2(\d{2})(?: \d{1,2}:.*)?$")
_MONTH_AND_YEAR = re.compile(r"(\d{1,2}|XX)[-/. ](\d{4})$")
_YEAR_LAST_DIGITS = re.compile(r"(\d{2})(\d{2})(\d{4})$")
# December 25th, 1980; 25 Dec 1980; 25DEC1980 as SAS writes it; 25-DEC-80 as Oracle does.
_MONTH_NAMED = re.compile(
    r"(?:([A-Z]{3,9})[ ./-]+(\d{1,2})(?:ST|ND|RD|TH)?[ ,./-]+"
    r"|(\d{1,2})(?:ST|ND|RD|TH)?[ ./-]*([A-Z]{3,9})[ ,./-]*)(\d{4}|\d{2})(?:[T :]\d{1,2}:.*)?$"
)
_YEAR_FIRST_NAMED = re.compile(r"(\d{4})[ ./-]*([A-Z]{3,9})[ ./-]*(\d{1,2})(?:[T :]\d{1,2}:.*)?$")
_NAMED_MONTH_AND_YEAR = re.compile(r"([A-Z]{3,9})[ ,./-]*(\d{4})$")
_NOT_DIGITS = re.compile(r"\D+")


@dataclass(frozen=True, slots=True, repr=False)
class ReadDate:
    """``iso`` is YYYY-MM-DD, YYYY-MM, YYYY or empty; ``damaged`` the digits of what could not be read, year
    first where the year is known; ``warning`` is empty, ``partial``, ``century`` (the year had two digits),
    ``impossible`` or ``unreadable``.
    """

    iso: str = ""
    damaged: str = ""
    warning: str = ""


@remembered(65_536)
def read_date(text: str) -> ReadDate:
    """Read one date. ``13/45/2020`` has no reading; ``25/12/1980`` has one; ``03/04/1980`` is US: 4 March."""
    folded = fold(text.strip())
    if match := _YEAR_FIRST.match(folded):
        return _from_parts(*match.groups())
    if match := _HL7.match(folded):
        return _from_digits(folded, *match.groups())
    if match := _YEAR_LAST.match(folded):
        return _from_year_last(*match.groups())
    if match := _MONTH_NAMED.match(folded):
        return _from_named_month(match) or _unreadable(folded)
    return _from_rare_form(folded) or _unreadable(folded)


def _from_rare_form(folded: str) -> ReadDate | None:
    if match := _SHORT_YEAR_LAST.match(folded):
        return _from_short_year(*match.groups())
    if match := _MONTH_AND_YEAR.match(folded):
        return _from_parts(match[2], match[1], None)
    if match := _YEAR_FIRST_NAMED.match(folded):
        month = _MONTHS.get(match[2][:3])
        return _from_parts(match[1], str(month), match[3]) if month else None
    if match := _NAMED_MONTH_AND_YEAR.match(folded):
        month = _MONTHS.get(match[1][:3])
        return _from_parts(match[2], str(month), None) if month else None
    return None


def _unreadable(folded: str) -> ReadDate:
    return ReadDate(damaged=_NOT_DIGITS.sub("", folded), warning="unreadable")


def _from_short_year(first: str, mark: str, second: str, year: str) -> ReadDate | None:
    """``01/05/52`` is 1952. ``10-12-25`` may have the year first, as ISO 8601 once allowed."""
    if mark == "-" and _from_parts(_whole_year(first.zfill(2)), second, year).iso:
        return None
    return _if_whole(_from_year_last(first, second, _whole_year(year)))


def _if_whole(read: ReadDate) -> ReadDate | None:
    """Of a day in an unknown century; 00/00/00 stands for nothing, and not for a year."""
    return None if read.warning else ReadDate(read.iso, warning="century")


def _whole_year(year: str) -> str:
    return f"{'20' if int(year) <= _LAST_SHORT_YEAR else '19'}{year}"


def _from_digits(digits: str, year: str, month: str, day: str | None) -> ReadDate:
    """151203 is no month of the year 1512; and eight digits may have the year last."""
    read = _from_parts(year, month, day)
    is_year = _FIRST_IN_DIGITS <= int(year) <= LAST_YEAR
    if is_year and read.iso:
        return read
    match = _YEAR_LAST_DIGITS.match(digits)
    other = _from_year_last(*match.groups()) if match else None
    if other and (other.iso or not is_year):
        return other
    return ReadDate(damaged=f"{year}{month}{day or ''}", warning="impossible")


def _from_parts(year: str, month: str | None, day: str | None) -> ReadDate:
    written = "-".join((year, *(part.zfill(2) for part in (month, day) if part)))
    if day in _NOT_KNOWN:
        day = None
    if month in _NOT_KNOWN and (day is None or not month.isdigit()):
        month = day = None  # a day without its month is a damaged date
    if _exists(int(year), int(month or 1), int(day or 1)):
        parts = [year, *(part.zfill(2) for part in (month, day) if part)]
        return ReadDate(iso="-".join(parts), warning="" if day else "partial")
    return ReadDate(damaged=_NOT_DIGITS.sub("", written), warning="impossible")


def _from_year_last(first: str, second: str, year: str) -> ReadDate:
    month_first = _from_parts(year, first, second)
    if month_first.iso or not first.isdigit() or int(first) <= len(_MONTHS):
        return month_first
    day_first = _from_parts(year, second, first)
    return day_first if day_first.iso else month_first


def _from_named_month(match: re.Match[str]) -> ReadDate | None:
    name, day, other_day, other_name, year = match.groups()
    month = _MONTHS.get((name or other_name)[:3])
    if len(year) == len("80"):
        return (
            _if_whole(_from_parts(_whole_year(year), str(month), day or other_day))
            if month
            else None
        )
    if month is None:
        return ReadDate(damaged=year + (day or other_day).zfill(2), warning="unreadable")
    return _from_parts(year, str(month), day or other_day)


def _exists(year: int, month: int, day: int) -> bool:
    if not (FIRST_YEAR <= year <= LAST_YEAR and 1 <= month <= len(_MONTHS)):
        return False
    return 1 <= day <= monthrange(year, month)[1]
