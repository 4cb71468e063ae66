"""Names of two Korean or Chinese syllables, whichever way they are written in Latin letters.

Korean passports take the bearer's own spelling: 현우 is Hyun Woo, Hyeonu (Revised Romanization of 2000) and Hyonu
(McCune and Reischauer 1939). Chinese names are written in pinyin or, from Taiwan, as Wade and Giles did. A spelling is
read within one system alone: JIYONG is not the JI YEONG of another system.
"""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import product

from mpi.matching.tables import read_rows
from mpi.matching.text_cache import remembered

Readings = frozenset[str]

_SYSTEMS = ("revised", "reischauer", "customary")
_LONGEST = 16
"""Letters of two syllables, rather more than there are."""

_NONE: Readings = frozenset()
_Syllables = dict[str, frozenset[str]]


@remembered(131_072)
def readings(name: str) -> Readings:
    """What a name of two syllables may be; empty for other names, and for all that are in no way from there.

    Two spellings are those of one name when they have a reading in common.
    """
    if len(name) > _LONGEST:
        return _NONE
    shape, systems = _systems()
    if not shape.fullmatch(name):
        return _NONE
    return frozenset(
        f"{one} {other}"
        for syllables in systems
        for end in range(1, len(name))
        for one, other in product(
            syllables.get(name[:end], _NONE), syllables.get(name[end:], _NONE)
        )
    )


@lru_cache(maxsize=1)
def _systems() -> tuple[re.Pattern[str], tuple[_Syllables, ...]]:
    """The syllables of every system, and what any two of them look like: most names are seen at a glance to be none."""
    chinese = tuple(_chinese(column) for column in ("pinyin", "wade_giles"))
    korean = tuple(_korean(column) for column in _SYSTEMS)
    vowels = "[AEIOUYW]+"
    shape = f"[^AEIOUYW]*{vowels}(?:[^AEIOUYW]+{vowels})?[^AEIOUYW]*"
    return re.compile(shape), (*chinese, *korean)


def _chinese(column: str) -> _Syllables:
    found: dict[str, set[str]] = {}
    for row in read_rows("chinese_syllables"):
        for spelling in row[column].split():
            found.setdefault(spelling, set()).add(f"zh {row['pinyin']}")
    return {spelling: frozenset(sounds) for spelling, sounds in found.items()}


def _korean(column: str) -> _Syllables:
    """Each syllable is an initial (perhaps none), a vowel and a final; vowels are spelled otherwise before a final."""
    parts: dict[str, list[tuple[str, str]]] = {}
    for row in read_rows("korean_syllables"):
        for spelling in row[column].split() or [""]:
            parts.setdefault(row["part"], []).append((spelling.strip("_"), row["sound"]))
    found: dict[str, set[str]] = {}
    kinds = ((parts["open"], [("", "")]), (parts["closed"], parts["final"]))
    for vowels, finals in kinds:
        for initial, vowel, final in product(parts["initial"], vowels, finals):
            spelling, sound = (f"{initial[n]}{vowel[n]}{final[n]}" for n in (0, 1))
            found.setdefault(spelling, set()).add(f"ko {sound}")
    return {spelling: frozenset(sounds) for spelling, sounds in found.items()}
