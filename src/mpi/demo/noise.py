"""What goes wrong at a registration desk: how often (profiles), and how (slips of the pen)."""

from __future__ import annotations

from dataclasses import dataclass

from mpi.demo.draw import Draw
from mpi.errors import InvalidInput

_NEIGHBOURS = {
    letter: row[max(0, i - 1) : i] + row[i + 1 : i + 2]
    for row in ("qwertyuiop", "asdfghjkl", "zxcvbnm", "1234567890")
    for i, letter in enumerate(row)
}
# Shapes that a scanner confuses, then sounds that an ear confuses.
_LOOK_ALIKE = (
    ("m", "rn"),
    ("rn", "m"),
    ("l", "1"),
    ("o", "0"),
    ("i", "l"),
    ("s", "5"),
    ("b", "8"),
    ("cl", "d"),
    ("d", "cl"),
    ("h", "b"),
    ("u", "v"),
    ("e", "c"),
)
_SOUND_ALIKE = (
    ("ph", "f"),
    ("f", "ph"),
    ("ie", "ei"),
    ("ei", "ie"),
    ("ck", "k"),
    ("c", "k"),
    ("k", "c"),
    ("y", "ie"),
    ("ie", "y"),
    ("ll", "l"),
    ("nn", "n"),
    ("tt", "t"),
    ("ai", "ay"),
    ("ee", "ea"),
    ("s", "z"),
    ("z", "s"),
    ("son", "sen"),
    ("sen", "son"),
    ("mac", "mc"),
    ("ey", "y"),
    ("er", "or"),
    ("an", "en"),
    ("th", "t"),
    ("h", ""),
    ("v", "w"),
    ("g", "j"),
)


@dataclass(frozen=True, slots=True)
class NoiseProfile:
    """Rates per registration, 0 to 1. ``habits`` multiplies what facilities do on their own
    (nicknames, swapped names, placeholders); 0 leaves only their formats."""

    habits: float = 1.0
    typo_given: float = 0.03
    typo_family: float = 0.03
    typo_dob: float = 0.015
    swap_day_month: float = 0.005
    unreadable_dob: float = 0.0005
    typo_ssn: float = 0.012
    family_ssn: float = 0.002
    typo_address: float = 0.04
    stale_address: float = 0.05
    typo_phone: float = 0.02
    typo_email: float = 0.01
    wrong_sex: float = 0.002
    missing_given: float = 0.001
    missing_middle: float = 0.2
    missing_suffix: float = 0.35
    missing_dob: float = 0.004
    missing_sex: float = 0.01
    missing_ssn: float = 0.15
    missing_address: float = 0.03
    missing_phone: float = 0.1
    missing_email: float = 0.35


CLEAN = NoiseProfile(
    habits=0,
    typo_given=0,
    typo_family=0,
    typo_dob=0,
    swap_day_month=0,
    unreadable_dob=0,
    typo_ssn=0,
    family_ssn=0,
    typo_address=0,
    stale_address=0,
    typo_phone=0,
    typo_email=0,
    wrong_sex=0,
    missing_given=0,
    missing_middle=0,
    missing_suffix=0,
    missing_dob=0,
    missing_sex=0,
    missing_ssn=0,
    missing_address=0,
    missing_phone=0,
    missing_email=0,
)
NORMAL = NoiseProfile()
DIRTY = NoiseProfile(
    habits=2,
    typo_given=0.12,
    typo_family=0.12,
    typo_dob=0.06,
    swap_day_month=0.02,
    unreadable_dob=0.004,
    typo_ssn=0.05,
    family_ssn=0.01,
    typo_address=0.15,
    stale_address=0.15,
    typo_phone=0.08,
    typo_email=0.05,
    wrong_sex=0.01,
    missing_given=0.004,
    missing_middle=0.35,
    missing_suffix=0.5,
    missing_dob=0.015,
    missing_sex=0.03,
    missing_ssn=0.3,
    missing_address=0.08,
    missing_phone=0.2,
    missing_email=0.5,
)
SPARSE = NoiseProfile(
    missing_given=0.003,
    missing_middle=0.75,
    missing_suffix=0.7,
    missing_dob=0.04,
    missing_sex=0.12,
    missing_ssn=0.7,
    missing_address=0.4,
    missing_phone=0.5,
    missing_email=0.85,
)
PROFILES = {"clean": CLEAN, "normal": NORMAL, "dirty": DIRTY, "sparse": SPARSE}


def profile_named(name: str) -> NoiseProfile:
    """:raises InvalidInput: when there is no profile of this name."""
    if name not in PROFILES:
        raise InvalidInput(f"profile must be one of {', '.join(PROFILES)}")
    return PROFILES[name]


def misspell(draw: Draw, text: str) -> str:
    """``text`` with one slip; always different from ``text`` unless it is shorter than two."""
    if len(text) < 2:
        return text
    slip = draw.pick(_SLIPS)
    changed = slip(draw, text)
    return changed if changed != text else _drop(draw, text)


def _replace_one(draw: Draw, text: str, pairs: tuple[tuple[str, str], ...]) -> str:
    lowered = text.lower()
    found = [pair for pair in pairs if pair[0] in lowered[1:]]
    if not found:
        return text
    old, new = draw.pick(found)
    start = lowered.index(old, 1)
    return text[:start] + new + text[start + len(old) :]


def _look_alike(draw: Draw, text: str) -> str:
    return _replace_one(draw, text, _LOOK_ALIKE)


def _sound_alike(draw: Draw, text: str) -> str:
    return _replace_one(draw, text, _SOUND_ALIKE)


def _keyboard(draw: Draw, text: str) -> str:
    place = draw.below(len(text))
    neighbours = _NEIGHBOURS.get(text[place].lower())
    if not neighbours:
        return text
    hit = draw.pick(neighbours)
    return text[:place] + (hit.upper() if text[place].isupper() else hit) + text[place + 1 :]


def _transpose(draw: Draw, text: str) -> str:
    place = draw.below(len(text) - 1)
    return text[:place] + text[place + 1] + text[place] + text[place + 2 :]


def _drop(draw: Draw, text: str) -> str:
    place = draw.below(len(text))
    return text[:place] + text[place + 1 :]


def _double(draw: Draw, text: str) -> str:
    place = draw.below(len(text))
    return text[:place] + text[place].lower() + text[place:]


_SLIPS = (
    _keyboard,
    _keyboard,
    _transpose,
    _transpose,
    _drop,
    _drop,
    _double,
    _look_alike,
    _sound_alike,
    _sound_alike,
)


def misdial(draw: Draw, digits: str) -> str:
    """``digits`` (ASCII digits, two or more) with one digit wrong or two neighbours swapped."""
    if draw.chance(0.35):
        swapped = _transpose(draw, digits)
        if swapped != digits:
            return swapped
    place = draw.below(len(digits))
    wrong = str((int(digits[place]) + 1 + draw.below(9)) % 10)
    return digits[:place] + wrong + digits[place + 1 :]


def misdate(draw: Draw, when: tuple[int, int, int]) -> tuple[int, int, int]:
    """(year, month, day) with one part wrong. The day may not exist, as on real forms."""
    year, month, day = when
    luck = draw.random()
    if luck < 0.35:
        return year, month, _other(draw, day, 31)
    if luck < 0.55:
        return year, _other(draw, month, 12), day
    if luck < 0.75:
        return year + draw.pick((-1, 1)), month, day
    if luck < 0.9:
        return year + draw.pick((-10, 10)), month, day
    century, decade, unit = year // 100, year // 10 % 10, year % 10
    return century * 100 + unit * 10 + decade, month, day


def _other(draw: Draw, value: int, limit: int) -> int:
    """A neighbour of ``value``, or any other number from 1 to ``limit``."""
    if draw.chance(0.5):
        return value + 1 if value < limit and (value == 1 or draw.chance(0.5)) else value - 1
    return (value + draw.below(limit - 1)) % limit + 1
