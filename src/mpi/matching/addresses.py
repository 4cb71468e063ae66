"""Postal addresses in parts, after USPS Publication 28: tables and order of words, no statistics.

An address that fits no US rule keeps its words; nothing is dropped for being foreign.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mpi.matching.folding import fold, words
from mpi.matching.tables import read_rows, read_words
from mpi.matching.text_cache import remembered

_WORDS = read_words("address_words")
_DIRECTIONS = _WORDS["direction"]
_UNITS = _WORDS["unit"]
_LONE_UNITS = _WORDS["lone_unit"]
_ORDINALS = _WORDS["ordinal"]
_OPENINGS = _WORDS["opening"]
_STATES = _WORDS["state"]
_STATE_CODES = frozenset(code for code in _STATES.values() if len(code) == 2)
_STATES_AND_CODES = _STATES.keys() | _STATE_CODES
_COUNTRIES = _WORDS["country"]
_HIGHWAYS = _WORDS["highway"]
_ROUTES = _WORDS["route_box"]
_STREET_NAMES = _WORDS["street_name"]
_CITY_OPENINGS = _WORDS["city_opening"]
_ZIP_ZERO_STATES = _WORDS["zip_zero"]
_TYPES = {
    spelling: row["abbreviation"]
    for row in read_rows("street_types")
    for spelling in row["spellings"].split()
}

_TOKEN = re.compile(r"#|[A-Z0-9]+(?:[-/][A-Z0-9]+)*")
_DASHES = str.maketrans("-/", "  ")
_MARKS = str.maketrans({"'": "", "`": "", ".": "", "\u2019": "", ",": " "})


def _any_of(phrases: Iterable[str]) -> str:
    """A pattern of all of them, the longest first."""
    return "|".join(map(re.escape, sorted(phrases, key=len, reverse=True)))


# Pub 28 28: post office box.
_BOX = re.compile(
    r"(?:P(?:OST)? ?[O0](?:FFICE)? ?(?:BO?X|DRAWER|(?=[ #]*\d))|POB|BO?X|CALLER)[ #]*(?:NO |NUMBER )?"
    r"([A-Z]?\d[A-Z0-9-]*|[A-Z]\b)"
)
# Pub 28 23 to 25: military box, rural route and highway contract.
_ROUTE_BOX = re.compile(rf"({_any_of(_ROUTES)}) ?#?(\d+) BO?X ?#?(\w+)")
# HIGHWAY 61 with what says whose it is, which half of the writers leave out.
_HIGHWAY = re.compile(
    rf"((?:(?:OLD|{_any_of(_DIRECTIONS)}) )*)({_any_of(_HIGHWAYS)})[ -]?(?=\d+[A-Z]?(?: |$))"
)
# Somebody else's name, up to the number of the house or box.
_CARE_OF = re.compile(
    r"(?:^| )(?:C ?[/\\] ?O\b|%|(?:IN )?CARE OF\b|ATTN\b)[^\d#]*?(?=[\d#]|\bP ?O ?B|$)"
)
_CARE_OF_SIGN = re.compile(r"[/\\%]|CARE OF|ATTN")
"""One of them is in whatever the pattern finds, and looking for them is quick."""
_JOINED_UNIT = re.compile(rf"\b({_any_of(word for word in _UNITS if word.isalpha())})(?=\d)")
_LETTER_AND_DIGIT = re.compile(r"[A-Z]\d")
_DIGIT = re.compile(r"\d")
# 12, 12A, 12-14, 112-10 (Queens), W180N8085 (Wisconsin grid): Pub 28 appendix D.
_HOUSE = re.compile(r"(?:\d+[A-Z]?(?:-\d+[A-Z]?)?|[NSEW]\d+[NSEW]\d+)$")
_FRACTION = re.compile(r"\d/\d$")
_UNIT_SLASH_HOUSE = re.compile(r"([A-Z]?\d+[A-Z]?)/(\d+[A-Z]?(?:-\d+)?)$")
_ORDINAL = re.compile(r"0*(\d+)(?:ST|ND|RD|TH)$")
_UNIT_VALUE = re.compile(r"(?:[A-Z]{0,2}\d[A-Z0-9-]*|[A-Z])$")
_ENDINGS = {1: "ST", 2: "ND", 3: "RD"}
_ZIP_PLUS_4 = 9  # digits
_ZIP_IN_SPREADSHEETS = re.compile(r"\s*(?:(\d{4})(?:-\d{4}|\d{4}\.0+)|(\d{1,9})\.0+)\s*$")
"""A ZIP+4 without its leading zero, and a number with its decimals."""

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
    street = _read_line(_tokens(first))
    if not second:
        return street
    units = [part for part in (street.unit, _unit_of_line(second)) if part]
    return Street(street.house, street.street, street.core, " ".join(dict.fromkeys(units)))


def _plain(text: str) -> str:
    if not text:
        return ""
    plain = " ".join(fold(text).translate(_MARKS).split())
    if _CARE_OF_SIGN.search(plain):
        # 12 ATTN ST is a street.
        kept = " ".join(_CARE_OF.sub(" ", plain).split())
        return plain if _HOUSE.match(kept) else kept
    return plain


def _tokens(line: str) -> list[str]:
    """The words of a line; ``APT4`` is two."""
    if _LETTER_AND_DIGIT.search(line):
        line = _JOINED_UNIT.sub(r"\1 ", line)
    return _TOKEN.findall(line)


def _are_swapped(first: str, second: str) -> bool:
    """A second line with number and street type belongs first when the first line has neither."""
    if not first:
        return bool(_HOUSE.match(second.split(" ", 1)[0])) or bool(_read_box(second))
    if first[0].isdigit() or _read_box(first):
        return False
    tokens = _tokens(second)
    return (
        len(tokens) > 2
        and bool(_HOUSE.match(tokens[0]))
        and not _TYPES.keys().isdisjoint(tokens[1:])
    )


def _read_box(line: str) -> str:
    if match := _BOX.match(line):
        return f"PO BOX {match[1]}"
    if match := _ROUTE_BOX.match(line):
        return f"{_ROUTES[match[1]]} {match[2]} BOX {match[3]}"
    return ""


def _read_line(tokens: list[str]) -> Street:
    tokens, unit = _take_leading_unit(tokens)
    house, tokens = _take_house(tokens)
    tokens = _name_highway(tokens)
    tokens, trailing = _take_trailing_unit(tokens)
    street, core = _read_name(" ".join(tokens).translate(_DASHES).split())
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


def _name_highway(tokens: list[str]) -> list[str]:
    """``US HWY 61``, ``ST RTE 61`` and ``HIGHWAY 61`` are one road; ``CR 61`` is a county's and no circle."""
    line = " ".join(tokens)
    match = _HIGHWAY.match(line) if _DIGIT.search(line) else None
    return f"{match[1]}{_HIGHWAYS[match[2]]} {line[match.end():]}".split() if match else tokens


def _take_trailing_unit(tokens: list[str]) -> tuple[list[str], str]:
    for index in range(1, len(tokens)):
        if _starts_unit(tokens, index):
            return tokens[:index], _unit_of(tokens[index:])
    if len(tokens) > 2 and _is_bare_unit(*tokens[-3:]):
        return tokens[:-1], tokens[-1]
    return tokens, ""


def _starts_unit(tokens: list[str], index: int) -> bool:
    """A designator with a value behind it, or one that stands alone at the end."""
    token, before = tokens[index], tokens[index - 1]
    is_last = index == len(tokens) - 1
    if not is_last and _UNITS.get(tokens[index + 1]) == "FL" and _floor(token):
        return True
    if token in _UNITS and not is_last:
        following = tokens[index + 1]
        return following == "#" or bool(_UNIT_VALUE.match(following)) or before in _TYPES
    return is_last and token in _LONE_UNITS and (before in _TYPES or before in _DIRECTIONS)


def _floor(token: str) -> str:
    """``2`` of ``2ND`` and ``SECOND``; empty for any other word."""
    match = _ORDINAL.match(_ORDINALS.get(token, token))
    return match[1] if match else ""


def _is_bare_unit(name: str, before: str, last: str) -> bool:
    """``12 MAIN ST 4B``, ``12 OAK CT A``: neither the number of a highway nor the letter of ``W AVENUE D``."""
    kind = _TYPES.get(before)
    if kind is None or kind in _NUMBERED_TYPES or not _UNIT_VALUE.match(last):
        return False
    return not last.isalpha() or (last not in _DIRECTIONS and name not in _DIRECTIONS)


def _unit_of_line(line: str) -> str:
    return _unit_of(_tokens(line)) if line else ""


def _unit_of(tokens: Sequence[str]) -> str:
    """The values without their designators, which are used loosely: APT 4, UNIT 4 and # 4 are 4."""
    kept = [
        _floor(token) or _LONE_UNITS.get(token, token) for token in tokens if token not in _UNITS
    ]
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
    core = _STREET_NAMES.get(core, core)
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
    """The city's words; ``ST LOUIS`` and ``SAINT LOUIS`` agree, and ``BALTIMORE, MD`` is BALTIMORE."""
    city, _, state = text.rpartition(",")
    is_followed = city and " ".join(words(state)) in _STATES_AND_CODES
    tokens = words((city if is_followed else text).replace("-", " "))
    if len(tokens) > 1 and len(tokens[-1]) == 5 and tokens[-1].isdigit():
        del tokens[-1]
        if len(tokens) > 1 and tokens[-1] in _STATE_CODES:  # before a ZIP; VALLEY HI is a village
            del tokens[-1]
    if len(tokens) == 1:
        return tokens[0]
    if tokens and tokens[0] in _CITY_OPENINGS:
        tokens[0] = _CITY_OPENINGS[tokens[0]]
    tokens[:-1] = [_OPENINGS.get(token, token) for token in tokens[:-1]]
    return " ".join(_join_elisions(tokens))


def _join_elisions(tokens: list[str]) -> list[str]:
    """``COEUR D ALENE`` is spelled as ``COEUR D'ALENE`` is, and ``O FALLON`` as ``O'FALLON``."""
    for index in range(len(tokens) - 2, -1, -1):
        if tokens[index] in _ELISIONS and len(tokens[index + 1]) > 2:
            tokens[index : index + 2] = [tokens[index] + tokens[index + 1]]
    return tokens


_ELISIONS = frozenset("DLO")


@remembered(4_096)
def read_state(text: str) -> str:
    """The two-letter code of a US state; any other region as written."""
    phrase = " ".join(words(text))
    return _STATES.get(phrase, phrase)


@remembered(65_536)
def read_zip(text: str) -> str:
    """Five digits of a US ZIP or ZIP+4; any other postal code without spaces."""
    if match := _ZIP_IN_SPREADSHEETS.match(text):
        text = match[1] or match[2]
    code = "".join(words(text))
    return code[:5] if len(code) == _ZIP_PLUS_4 and code.isdigit() else code


def restore_zip(code: str, state: str, country: str) -> str:
    """``7102`` of New Jersey is 07102: spreadsheets drop the zero. Other countries have postal codes of four digits."""
    if len(code) != 4 or not code.isdigit():
        return code
    is_said = state in _ZIP_ZERO_STATES or bool(country and not state)
    return f"0{code}" if is_said and read_region(country) == "US" else code


@remembered(1_024)
def read_region(country: str) -> str:
    """The ISO 3166 code whose dialling rules apply to this address; US when the country is unknown."""
    phrase = " ".join(words(country))
    return _COUNTRIES.get(phrase, phrase if len(phrase) == 2 and phrase.isalpha() else "US")
