"""What people are called: surnames and given names at the frequencies of the census."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass

from mpi.demo.draw import Draw
from mpi.demo.tables import NameTables, names

GENERAL = "general"
HISPANIC = "hispanic"

# The surname file lists 85 in 100 people; the others bear names too rare to be listed.
_UNLISTED = 0.15
_NATIVE_SCRIPT = 0.006
_MODERN_SINCE = 1995


@dataclass(frozen=True, slots=True)
class Called:
    """One part of a name, in Latin letters and, where there is one, in its own script."""

    text: str
    native: str = ""


@dataclass(frozen=True, slots=True)
class Family:
    """A surname and the naming custom that comes with it."""

    text: str
    culture: str = GENERAL
    native: str = ""


def draw_family(draw: Draw) -> Family:
    """A surname of a person or a whole family."""
    tables = names()
    if draw.chance(_NATIVE_SCRIPT):
        culture = draw.pick(tuple(tables.scripts))
        native, latin = draw.pick(tables.scripts[culture].surnames)
        return Family(latin, culture, native)
    if draw.chance(_UNLISTED):
        return Family(_coin(draw, tables))
    text = tables.surnames.draw(draw)
    if text in tables.is_hispanic:
        return Family(_hispanic(draw, tables, text), HISPANIC)
    if draw.chance(0.004):
        return Family(f"{text}-{tables.surnames.draw(draw)}")
    return Family(_accented(draw, tables, text, 0.01))


def _coin(draw: Draw, tables: NameTables) -> str:
    firsts, middles, lasts = tables.coined
    first, middle, last = draw.pick(firsts), draw.pick(middles), draw.pick(lasts)
    return first + last if middle[-1:] == last[0] else first + middle + last


def _hispanic(draw: Draw, tables: NameTables, text: str) -> str:
    """Many bear the father's and the mother's surname, some joined by a hyphen."""
    text = _accented(draw, tables, text, 0.3)
    if not draw.chance(0.3):
        return text
    second = _accented(draw, tables, tables.hispanic_surnames.draw(draw), 0.3)
    return f"{text}{'-' if draw.chance(0.15) else ' '}{second}"


def _accented(draw: Draw, tables: NameTables, text: str, rate: float) -> str:
    return tables.accents.get(text, text) if draw.chance(rate) else text


def draw_given(draw: Draw, sex: str, year: int, culture: str) -> Called:
    """A given name of a person of ``sex`` (M, F) born in ``year`` into ``culture``."""
    tables = names()
    script = tables.scripts.get(culture)
    if script is not None and draw.chance(0.8):
        native, latin = draw.pick(script.given[sex])
        return Called(latin, native)
    if culture == HISPANIC and draw.chance(0.6):
        return Called(_accented(draw, tables, tables.hispanic[sex].draw(draw), 0.3))
    if year >= _MODERN_SINCE and draw.chance(0.65):
        return Called(tables.modern[sex].draw(draw))
    return Called(_accented(draw, tables, tables.given[sex].draw(draw), 0.002))


def draw_alike(draw: Draw, other: str, sex: str, year: int, culture: str) -> Called:
    """A name that begins like ``other`` (parents of twins like that) but is not the same."""
    called = draw_given(draw, sex, year, culture)
    for _ in range(12):
        if called.text[:2] == other[:2] and called.text != other:
            return called
        called = draw_given(draw, sex, year, culture)
    return called if called.text != other else Called(f"{other}a")


def nickname(draw: Draw, given: str) -> str:
    """What friends say for ``given``; ``given`` itself where nothing is customary."""
    known = names().nicknames.get(given)
    return draw.pick(known) if known else given


def unaccented(text: str) -> str:
    """Latin ``text`` without its accents (José is Jose)."""
    if text.isascii():
        return text
    parts = unicodedata.normalize("NFD", text)
    return "".join(part for part in parts if not unicodedata.combining(part))
