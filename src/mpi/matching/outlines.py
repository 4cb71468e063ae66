"""What values show at a glance, so that most pairs of strangers need no comparator. Pure.

The law of an outline, for any two values of its trait: when they share no mark, the comparator answers what the
outline's comparator answers to their outlines. Marks may be shared by chance, as they are sets of 128 bits: that costs
time and nothing else. And to a value that is equal to it, it answers what the outline alone tells.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

from mpi.matching.birthdays import compare_birth_years, compare_dob
from mpi.matching.comparators import (
    CLOSE,
    MISSING,
    compare_locality,
    compare_systems,
    systems_of,
)
from mpi.matching.name_comparators import (
    LOOSE,
    FullName,
    Further,
    compare_apart,
    compare_familiar,
    compare_family,
    compare_given,
    compare_middle,
    describe_further,
    further_names,
    in_one_word,
    is_familiar,
    syllables_of,
    written_family,
    written_given,
)
from mpi.matching.names import nickname_class
from mpi.matching.phonetics import phonetic_code
from mpi.matching.record import StandardAddress

_KnownPlaces = tuple[frozenset[tuple[bool, bool]], str]

HALF = 64
"""Bits in each half of a set of marks. Every word has one in either half."""
WINKLER = 4
"""Characters at the start of two texts that count in Winkler's addition to Jaro's similarity."""
MOST_TEXTS = 2  # of a value; one with more is compared with every other
_LONGEST = 24  # short forms of longer names may be too unlike them to be seen by letters
_DIGITS, _LETTERS = 10, 32  # kinds of characters told apart in numbers and in names


@dataclass(frozen=True, slots=True)
class Text:
    """``letters`` tells how often each kind of character occurs, in unary and only up to a few.

    Texts whose counts differ by n characters have at most n different bits. ``start`` are the first characters, a byte
    each.
    """

    letters: int
    length: int
    start: int = 0


@dataclass(frozen=True, slots=True)
class Marks:
    """Two values share a mark by two near texts, or when in each half a bit that one has ``offered`` is ``sought`` by
    the other.
    """

    offered: int = 0
    sought: int = 0
    texts: tuple[Text, ...] = ()


@dataclass(frozen=True, slots=True)
class Outline:
    """``draw`` makes the outline of a value, ``comparator`` compares outlines.

    Texts are near when they are at most ``edits`` apart (an edit takes one character away and adds another),
    or when their Jaro–Winkler similarity may be ``alike``. ``equal`` answers, for the outline of two equal values, what
    the comparator of the values does; None: it needs more than the outline. ``beneath`` is the outline of the outline.
    """

    draw: Callable[[Any], Any]
    comparator: Callable[[Any, Any], str]
    marks: Callable[[Any], Marks]
    edits: int = 0
    alike: float | None = None
    equal: Callable[[Any], str] | None = None
    beneath: Outline | None = None


_ALL = (1 << 2 * HALF) - 1
_FIRST, _SECOND = [1 << bit for bit in range(HALF)], [1 << bit for bit in range(HALF, 2 * HALF)]
_NOTHING, _ANYTHING = Marks(), Marks(_ALL, _ALL)


def _bits(words: Iterable[object]) -> int:
    bits = 0
    for word in words:
        number = hash(word)
        bits |= _FIRST[number % HALF] | _SECOND[number // HALF % HALF]
    return bits


def _marks(words: Iterable[object], texts: tuple[str, ...] = ()) -> Marks:
    if len(texts) > MOST_TEXTS:
        return _ANYTHING
    bits = _bits(words)
    return Marks(bits, bits, tuple(Text(_letters(text, _DIGITS), len(text)) for text in texts))


def _letters(text: str, kinds: int) -> int:
    most, counts = 64 // kinds, [0] * kinds
    bits = 0
    for letter in text:
        kind = ord(letter) % kinds
        count = counts[kind]
        if count < most:
            counts[kind] = count + 1
            bits |= 1 << (kind * most + count)
    return bits


def _differ(left: bool, right: bool) -> str:  # noqa: FBT001 -- outlines: whether there is a value
    return "different" if left and right else MISSING


def _exact(known: object) -> str:
    """What two equal values are to each other, or two without one."""
    return "exact" if known else MISSING


def _first_given(name: FullName) -> tuple[bool, bool]:
    """Whether there is a given name, and whether it is known as one."""
    return bool(name[0]), bool(name[0]) and is_familiar(name[0][0])


def _differ_given(left: tuple[bool, bool], right: tuple[bool, bool]) -> str:
    return compare_familiar(left[1], right[1]) if left[0] and right[0] else MISSING


def _given_crossing(name: FullName) -> Marks:
    """Whole names in one word are only sought: what is in one word there is the given name, which is offered."""
    syllables = syllables_of(name)
    sought = (*name[1], *written_family(name), *in_one_word(name), *syllables)
    return Marks(_bits((*written_given(name), *syllables)), _bits(sought))


def _family_crossing(name: FullName) -> Marks:
    return Marks(_bits(written_given(name)), _bits(written_family(name)))


def _given_marks(name: FullName) -> Marks:
    given = name[0]
    if not given:
        return _NOTHING
    whole = "".join(given)
    known = nickname_class(given[0]) | nickname_class(whole)
    compared = (given[0], whole) if len(given) > 1 else given
    return _name_marks(given, compared, (*known, *in_one_word(name), *syllables_of(name)))


def _family_marks(name: FullName) -> Marks:
    return _name_marks(name[2], name[2])


def _middle_crossing(name: FullName) -> Marks:
    """What else a name consists of is only sought among the others' middle names."""
    given, middle, family = name
    further = further_names(name)
    whole = ("".join((*given, *middle)),) if further else ()
    return Marks(_bits((*given[:1], *family, *whole)), _bits(further))


def _middle_marks(name: FullName) -> Marks:
    further = further_names(name)
    return _name_marks(further, further[:1], nickname_class(further[0])) if further else _NOTHING


def _further_alone(name: FullName) -> FullName:
    given, middle, _ = name
    return ("", *given[1:]) if len(given) > 1 else (), middle, ()


def _equal_middle(names: Further) -> str:
    if not names[0]:
        return MISSING
    return "exact" if names[2] else "initial"


def _name_marks(
    names: tuple[str, ...], compared: tuple[str, ...], classes: Iterable[object] = ()
) -> Marks:
    """Equal words sound alike, together and alone. A lone letter is offered to every name that it begins."""
    if not names:
        return _NOTHING
    if len(compared) > MOST_TEXTS or max(map(len, compared)) > _LONGEST:
        return _ANYTHING
    spoken = (*names, "".join(names)) if len(names) > 1 else names
    words = _bits((*classes, *map(phonetic_code, spoken)))
    initial = _bits(((names[0][0], "initial"),))
    offered = words | initial if len(names[0]) == 1 else words
    return Marks(offered, words | initial, tuple(map(_name_text, compared)))


def _name_text(name: str) -> Text:
    start = name[:WINKLER].ljust(WINKLER).encode("utf-32-be")[3::4]
    return Text(_letters(name, _LETTERS), len(name), int.from_bytes(start))


def _birth_year(date: tuple[str, str]) -> tuple[str, str]:
    """The year, and what equal dates are to each other."""
    return date[0][:4], compare_dob(date, date)


def _compare_birth_years(left: tuple[str, str], right: tuple[str, str]) -> str:
    return compare_birth_years(left[0], right[0])


def _dob_marks(date: tuple[str, str]) -> Marks:
    """Digits of year, month and day are kinds of their own: an edit keeps to its part, or there would be no date."""
    day = date[0]
    if len(day) < len("YYYY-MM-DD"):
        return _ANYTHING if any(date) else _NOTHING
    parts = enumerate(day.split("-"))
    kinds = "".join(chr(10 * number + int(digit)) for number, part in parts for digit in part)
    words = _bits((day[:4], day[5:]))
    return Marks(words, words, (Text(_letters(kinds, _LETTERS), len(kinds)),))


def _ssn_marks(number: tuple[str, str]) -> Marks:
    """Numbers at most three apart have a quarter in common, or one's is the other's next."""
    ssn, last_four = number
    if not ssn:
        return _marks((last_four,)) if last_four else _NOTHING
    quarter = int(ssn) // 4
    return _marks((quarter, quarter + 1, last_four), (ssn,))


def _compare_ssn_parts(left: tuple[bool, bool], right: tuple[bool, bool]) -> str:
    if left[0] and right[0]:
        return "different"
    return "last_four_differ" if left[1] and right[1] else MISSING


def _equal_ssn(known: tuple[bool, bool]) -> str:
    if known[0]:
        return "exact"
    return "last_four" if known[1] else MISSING


def _national_id_marks(text: str) -> Marks:
    return _marks((text,), (text,)) if text else _NOTHING


def _address_marks(addresses: tuple[StandardAddress, ...]) -> Marks:
    streets = [a for a in addresses if a.core]
    houses = ((a.house,) for a in streets if a.house)
    return _marks((*(a.core for a in streets), *houses))


def _place_marks(addresses: tuple[StandardAddress, ...]) -> Marks:
    named = ((("city", a.city), ("state", a.state), ("zip", a.zip)) for a in addresses)
    words = [word for address in named for word in address if word[1]]
    return _marks(words, tuple(a.zip for a in addresses if a.zip))


def _places(addresses: tuple[StandardAddress, ...]) -> tuple[StandardAddress, ...]:
    return tuple(StandardAddress(city=a.city, state=a.state, zip=a.zip) for a in addresses)


def _known_places(addresses: tuple[StandardAddress, ...]) -> _KnownPlaces:
    """Of which places postcode and city are known, and what equal places are to each other."""
    known = frozenset((bool(a.zip), bool(a.city)) for a in addresses)
    return known, compare_locality(addresses, addresses)


def _compare_known_places(left: _KnownPlaces, right: _KnownPlaces) -> str:
    both = ((a and b) or (c and d) for a, c in left[0] for b, d in right[0])
    return "different" if any(both) else MISSING


def _phone_marks(numbers: tuple[str, ...]) -> Marks:
    return _marks(numbers, numbers)


def _email_marks(emails: tuple[str, ...]) -> Marks:
    return _marks((email.partition("@")[0] for email in emails), emails)


OUTLINES: dict[str, Outline] = {
    "given": Outline(
        lambda name: (name[0], (), ()), compare_given, _given_crossing, equal=lambda name: _exact(name[0]),
        beneath=Outline(
            _first_given, _differ_given, _given_marks, alike=LOOSE, equal=lambda known: _exact(known[0])
        ),
    ),
    "family": Outline(
        lambda name: ((), (), name[2]), compare_family, _family_crossing, equal=lambda name: _exact(name[2]),
        beneath=Outline(lambda name: bool(name[2]), _differ, _family_marks, alike=LOOSE, equal=_exact),
    ),
    "middle": Outline(
        _further_alone, compare_middle, _middle_crossing,
        equal=lambda name: _equal_middle(describe_further(name)),
        beneath=Outline(describe_further, compare_apart, _middle_marks, alike=CLOSE, equal=_equal_middle),
    ),
    "dob": Outline(_birth_year, _compare_birth_years, _dob_marks, edits=2, equal=itemgetter(1)),
    "ssn": Outline(
        lambda number: (bool(number[0]), bool(number[1])), _compare_ssn_parts, _ssn_marks, edits=2,
        equal=_equal_ssn,
    ),
    "national_id": Outline(bool, _differ, _national_id_marks, edits=2, equal=_exact),
    "address": Outline(
        lambda homes: any(home.core for home in homes), _differ, _address_marks, equal=_exact
    ),
    "locality": Outline(
        _places, compare_locality, lambda _: _NOTHING,
        beneath=Outline(
            _known_places, _compare_known_places, _place_marks, edits=1, equal=itemgetter(1)
        ),
    ),
    "phone": Outline(bool, _differ, _phone_marks, edits=1, equal=_exact),
    "email": Outline(bool, _differ, _email_marks, edits=2, equal=_exact),
    "identifier": Outline(systems_of, compare_systems, _marks),
}  # fmt: skip
