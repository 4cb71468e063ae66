"""Postal addresses in parts, after USPS Publication 28: tables and order of words, no statistics.

An address that fits no US rule keeps its words; nothing is dropped for being foreign.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from mpi.matching.folding import fold, words
from mpi.matching.remembering import remembered
from mpi.matching.tables import read_rows, read_words

_WORDS = read_words("address_words")
_DIRECTIONS = _WORDS["direction"]
_UNITS = _WORDS["unit"]
_LONE_UNITS = _WORDS["lone_unit"]
_ORDINALS = _WORDS["ordinal"]
_OPENINGS = _WORDS["opening"]
_STATES = _WORDS["state"]
_COUNTRIES = _WORDS["country"]
_TYPES = {
    spelling: row["abbreviation"]
    for row in read_rows("street_types")
    for spelling in row["spellings"].split()
}

_TOKEN = re.compile(r"#|[A-Z0-9]+(?:[-/][A-Z0-9]+)*")
_MARKS = str.maketrans({"'": "", "`": "", ".": "", "\u2019": "", ",": " "})
# Pub 28 28: post office box.
_BOX = re.compile(
    r"(?:P(?:OST)? ?O(?:FFICE)? ?(?:BOX|DRAWER)|POB|BOX|CALLER)[ #]*(?:NO |NUMBER )?"
    r"([A-Z]?\d[A-Z0-9-]*|[A-Z]\b)"
)
# Pub 28 24 and 25: rural route and highway contract; 23: military box.
_ROUTE_BOX = re.compile(
    r"(RURAL ROUTE|RR|RFD|RD|HIGHWAY CONTRACT|HC|STAR ROUTE|PSC|CMR) ?#?(\d+) BOX ?#?(\w+)"
)
_ROUTES = {
    "RURAL ROUTE": "RR",
    "RFD": "RR",
    "RD": "RR",
    "HIGHWAY CONTRACT": "HC",
    "STAR ROUTE": "HC",
}
# 12, 12A, 12-14, 112-10 (Queens), W180N8085 (Wisconsin grid): Pub 28 appendix D.
_HOUSE = re.compile(r"(?:\d+[A-Z]?(?:-\d+[A-Z]?)?|[NSEW]\d+[NSEW]\d+)$")
_FRACTION = re.compile(r"\d/\d$")
_UNIT_SLASH_HOUSE = re.compile(r"([A-Z]?\d+[A-Z]?)/(\d+[A-Z]?(?:-\d+)?)$")
_ORDINAL = re.compile(r"0*(\d+)(?:ST|ND|RD|TH)$")
_UNIT_VALUE = re.compile(r"(?:[A-Z]{0,2}\d[A-Z0-9-]*|[A-Z])$")
_ENDINGS = {1: "ST", 2: "ND", 3: "RD"}
_ZIP_PLUS_4 = 9  # digits

# Types that come before their number: HIGHWAY 12 has no unit 12.
_NUMBERED_TYPES = frozenset(("HWY", "RTE", "RD", "LOOP", "SPUR", "EXPY"))


@dataclass(frozen=True, slots=True, repr=False)
class Street:
    """One or two address lines in parts; see :class:`mpi.matching.record.StandardAddress`."""

    house: str = ""
    street: str = ""
    core: str = ""
    unit: str = ""


NO_STREET = Street()


def read_street(line1: str, line2: str) -> Street:
    """Both address lines together; the unit may stand in either, and the lines may be swapped."""
    first, second = _plain(line1), _plain(line2)
    if second and _are_swapped(first, second):
        first, second = second, first
    box = _read_box(first)
    if box:
        return Street(street=box, core=box, unit=_unit_of_line(second))
    street = _read_line(_TOKEN.findall(first))
    if not second:
        return street
    units = [part for part in (street.unit, _unit_of_line(second)) if part]
    return Street(street.house, street.street, street.core, " ".join(dict.fromkeys(units)))


def _plain(text: str) -> str:
    return " ".join(fold(text).translate(_MARKS).split())


def _are_swapped(first: str, second: str) -> bool:
    """A second line with number and street type belongs first when the first line has neither."""
    if not first:
        return bool(_HOUSE.match(second.split(" ", 1)[0])) or bool(_read_box(second))
    if first[0].isdigit() or _read_box(first):
        return False
    tokens = _TOKEN.findall(second)
    return (
        len(tokens) > 2
        and bool(_HOUSE.match(tokens[0]))
        and not _TYPES.keys().isdisjoint(tokens[1:])
    )


def _read_box(line: str) -> str:
    if match := _BOX.match(line):
        return f"PO BOX {match[1]}"
    if match := _ROUTE_BOX.match(line):
        return f"{_ROUTES.get(match[1], match[1])} {match[2]} BOX {match[3]}"
    return ""


def _read_line(tokens: list[str]) -> Street:
    tokens, unit = _take_leading_unit(tokens)
    house, tokens = _take_house(tokens)
    tokens, trailing = _take_trailing_unit(tokens)
    street, core = _read_name([part for token in tokens for part in re.split("[-/]", token)])
    return Street(house, street, core, unit or trailing)


def _take_leading_unit(tokens: list[str]) -> tuple[list[str], str]:
    """``5/12 SMITH ST`` and ``UNIT 5 12 SMITH ST``, as Australia writes them."""
    if len(tokens) > 1 and (match := _UNIT_SLASH_HOUSE.match(tokens[0])):
        return [match[2], *tokens[1:]], match[1]
    if (
        len(tokens) > 3
        and tokens[0] in _UNITS
        and _UNIT_VALUE.match(tokens[1])
        and _HOUSE.match(tokens[2])
    ):
        return tokens[2:], tokens[1]
    return tokens, ""


def _take_house(tokens: list[str]) -> tuple[str, list[str]]:
    if not tokens or not _HOUSE.match(tokens[0]):
        return "", tokens
    house = tokens[0].lstrip("0") or "0"
    if len(tokens) > 2 and _FRACTION.match(tokens[1]):
        return f"{house} {tokens[1]}", tokens[2:]
    return house, tokens[1:]


def _take_trailing_unit(tokens: list[str]) -> tuple[list[str], str]:
    for index in range(1, len(tokens)):
        if _starts_unit(tokens, index):
            return tokens[:index], _unit_of(tokens[index:])
    if len(tokens) > 2 and _is_bare_unit(tokens[-2], tokens[-1]):
        return tokens[:-1], tokens[-1]
    return tokens, ""


def _starts_unit(tokens: list[str], index: int) -> bool:
    """A designator with a value behind it, or one that stands alone at the end."""
    token, before = tokens[index], tokens[index - 1]
    is_last = index == len(tokens) - 1
    if token in _UNITS and not is_last:
        return bool(_UNIT_VALUE.match(tokens[index + 1])) or before in _TYPES
    return is_last and token in _LONE_UNITS and (before in _TYPES or before in _DIRECTIONS)


def _is_bare_unit(before: str, last: str) -> bool:
    """``12 MAIN ST 4B``: a number after the street type, but not the number of a highway."""
    kind = _TYPES.get(before)
    return (
        kind is not None
        and kind not in _NUMBERED_TYPES
        and not last.isalpha()
        and bool(_UNIT_VALUE.match(last))
    )


def _unit_of_line(line: str) -> str:
    return _unit_of(_TOKEN.findall(line)) if line else ""


def _unit_of(tokens: Sequence[str]) -> str:
    """The values without their designators, which are used loosely: APT 4, UNIT 4 and # 4 are 4."""
    kept = [_LONE_UNITS.get(token, token) for token in tokens if token not in _UNITS]
    return " ".join((token.lstrip("0") or "0") if token.isdigit() else token for token in kept)


def _read_name(tokens: list[str]) -> tuple[str, str]:
    """``(name with direction and type, bare name)`` in the short forms of Pub 28."""
    tokens = _join_directions(tokens)
    before = kind = after = ""
    if (
        len(tokens) > 1
        and tokens[-1] in _DIRECTIONS
        and not (len(tokens) == 2 and tokens[0] in _TYPES)
    ):
        tokens, after = tokens[:-1], _DIRECTIONS[tokens[-1]]
    if len(tokens) > 1 and tokens[-1] in _TYPES:
        tokens, kind = tokens[:-1], _TYPES[tokens[-1]]
    if len(tokens) > 1 and tokens[0] in _DIRECTIONS:
        tokens, before = tokens[1:], _DIRECTIONS[tokens[0]]
    core = " ".join(_spell(tokens, index, kind) for index in range(len(tokens)))
    return " ".join(part for part in (before, core, kind, after) if part), core


def _join_directions(tokens: list[str]) -> list[str]:
    """``NORTH EAST`` and ``N E`` are NE, at either end of the name."""
    if len(tokens) > 2:
        if (joined := "".join(_DIRECTIONS.get(t, "?") for t in tokens[-2:])) in _DIRECTIONS:
            tokens = [*tokens[:-2], joined]
        if (joined := "".join(_DIRECTIONS.get(t, "?") for t in tokens[:2])) in _DIRECTIONS:
            tokens = [joined, *tokens[2:]]
    return tokens


def _spell(tokens: list[str], index: int, kind: str) -> str:
    """One word of a street name: numbers as ordinals, SAINT and MOUNT spelled out, HIGHWAY 12 as HWY 12."""
    token = tokens[index]
    if token in _ORDINALS:
        return _ORDINALS[token]
    if match := _ORDINAL.match(token):
        return _ordinal(match[1])
    if len(tokens) == 1:
        return _ordinal(token) if kind and token.isdigit() else _DIRECTIONS.get(token, token)
    following = tokens[index + 1] if index + 1 < len(tokens) else ""
    if token in _TYPES and (following.isdigit() or len(following) == 1):
        return _TYPES[token]
    return _OPENINGS.get(token, token) if index == 0 else token


def _ordinal(digits: str) -> str:
    number = int(digits)
    if number % 100 in (11, 12, 13):
        return f"{number}TH"
    return f"{number}{_ENDINGS.get(number % 10, 'TH')}"


@remembered(16_384)
def read_city(text: str) -> str:
    """The city's words; ``ST LOUIS`` and ``SAINT LOUIS`` agree."""
    tokens = words(text.replace("-", " "))
    if len(tokens) > 1 and tokens[0] in _OPENINGS:
        tokens[0] = _OPENINGS[tokens[0]]
    return " ".join(tokens)


@remembered(4_096)
def read_state(text: str) -> str:
    """The two-letter code of a US state; any other region as written."""
    phrase = " ".join(words(text))
    return _STATES.get(phrase, phrase)


@remembered(65_536)
def read_zip(text: str) -> str:
    """Five digits of a US ZIP or ZIP+4; any other postal code without spaces."""
    code = "".join(words(text))
    return code[:5] if len(code) == _ZIP_PLUS_4 and code.isdigit() else code


@remembered(1_024)
def read_region(country: str) -> str:
    """The ISO 3166 code whose dialling rules apply to this address; US when the country is unknown."""
    phrase = " ".join(words(country))
    return _COUNTRIES.get(phrase, phrase if len(phrase) == 2 and phrase.isalpha() else "US")
