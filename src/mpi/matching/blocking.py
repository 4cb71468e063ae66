"""Which records are worth comparing: keys of which two records of one person nearly always share one.

Every key joins traits until its block is small in an index of millions; keys of names are free of order, so
swapped and double names meet. A key comes with narrower ones: what to ask for instead when its block is too large.

===  ==========================================  ==================================================
tag  traits                                      finds
===  ==========================================  ==================================================
D    birth date, sound of any name               a changed or misspelt name
I    birth date, both initials                   two misspelt names
T    birth date, ZIP (city without ZIP)          both names changed
R*   birth date, street                          the same, with a misspelt ZIP
YM   year and month, sounds of both names        a mistyped day (YD: month, MD*: year)
Y    year, sounds of both names                  a mistyped month and day
Z C  ZIP or city, sounds of both names           a wrong or missing birth date
N*   both names, a nickname by its formal name   a move and a wrong or missing birth date
B    sounds of both names, month and day         the same with a mistyped year, of rich records
S    social security number or national id       everything else changed
F    first five of the SSN, initials             a mistyped SSN
L    last four of the SSN; both sounds or year*  half an SSN
E    half of a national id; year, ZIP or sound   a mistyped national id
X    identifier
P    phone; year or initial                      moved within the household's number
M    mailbox of the e-mail address               another or misspelt mail domain
A    house, street; sound, initials, year, ZIP*  same home, other traits damaged
===  ==========================================  ==================================================

Coarse keys (*) do not lead from one rich record to another: half of the strangers that were looked up shared one of
them and nothing else. Between rich records each has a narrower one in its stead: R with the state; house and street
with birthday and state; the last four with two parts of the date; for N and MD the sounds of both names with the
birthday (B). So most of those who changed both names are still found.

Which keys, and how coarse, was measured on FEBRL, pseudopeople and Splink data and on noise profiles: completeness
against candidates (ADR 0022).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from itertools import chain

from mpi.domain.identity import StoredRecord
from mpi.matching.dates import FIRST_YEAR, LAST_YEAR
from mpi.matching.names import formal_name
from mpi.matching.phonetics import soundex
from mpi.matching.record import StandardAddress, StandardRecord

BlockingKeys = Sequence[tuple[int, tuple[int, ...]]]
"""Each key with its narrower ones, whose blocks are read instead where its own is too large."""

BLOCK_LIMIT = 100
"""Records of a block that is read whole. On a million records larger blocks find nobody more, but make the slowest of
a hundred queries three times as slow."""

NARROWED_FACTOR = 4
"""A narrowed block is read up to this many times the limit."""

MAX_BLOCKING_TOKENS = 3
"""Words of a given or family name that make keys; more would add keys and find nobody more."""

MAX_PAIRS = 3
"""Combinations of a given and a family name that make keys."""

MAX_VALUES = 3
"""Addresses, phones, e-mails and identifiers that make keys, each; the first ones count."""

RICH = 20
"""So many keys make a record rich. Narrower ones, and those that only rich records have, are not counted."""

_MARK = "*"
"""Stands before the name of a coarse key until it is hashed."""

# A key in words and the narrower keys; the words are hashed only once the record is done.
_Named = tuple[str, tuple[str, ...]]

# Letters of a Soundex code beside a full date, of each code in a pair, and of a street beside its number.
_NEAR, _HALF, _STREET = 3, 2, 4


def blocking_keys(record: StandardRecord) -> BlockingKeys:
    """What to look a record up by: each key with its narrower ones, all numbers in 0 … 2**63 - 1."""
    return _keys(record)[0]


def stored_keys(record: StandardRecord) -> tuple[int, ...]:
    """What a record is to be found by: its own keys and their narrower ones; if it is rich, the coarse ones beside."""
    return _keys(record)[1]


def keys_beside(record: StoredRecord) -> set[int]:
    """What a record lies under beside its own keys: that of its link in an index elsewhere.

    A record that was stored before there were rich ones lies under its coarse keys as any other.
    """
    own = stored_keys(record.standard)
    return set(record.blocking_keys).difference(own, map(_of_rich, own))


def key_of(name: str) -> int:
    """A key as a number that SQLite and BSON can hold (signed 64 bits)."""
    return int.from_bytes(blake2b(name.encode(), digest_size=8).digest()) >> 1


# A registration asks for its keys several times: to look up, to guard the commit and to be stored.
@lru_cache(maxsize=128)
def _keys(record: StandardRecord) -> tuple[BlockingKeys, tuple[int, ...]]:
    traits = _traits(record)
    marked: dict[str, tuple[str, ...]] = {}
    for family in (_by_birth, _by_name, _by_number, _by_contact, _by_home):
        marked.update(family(traits))
    named = {name.removeprefix(_MARK): narrower for name, narrower in marked.items()}
    rich = len(named) >= RICH
    if rich:
        named.update(_between_rich(traits))
    # Many keys share their narrower ones: each name is hashed once, each group put together once.
    groups = dict.fromkeys(named.values())
    names = dict.fromkeys([*named, *chain.from_iterable(groups)])
    numbers = {name: key_of(name) for name in names}
    narrow = {group: tuple([numbers[name] for name in group]) for group in groups}
    asked = [(numbers[name], narrow[group]) for name, group in named.items()]
    coarse = {numbers[name.removeprefix(_MARK)] for name in marked if name.startswith(_MARK)}
    stored = dict.fromkeys(numbers.values())
    if rich:
        return tuple(asked), tuple([_of_rich(key) if key in coarse else key for key in stored])
    asked += [(_of_rich(key), narrower) for key, narrower in asked if key in coarse]
    return tuple(asked), tuple(stored)


def _of_rich(key: int) -> int:
    """Where the rich records lie that have a coarse key: beside the others, so that one page holds both."""
    return key ^ 1


@dataclass(frozen=True, slots=True, repr=False)
class _Traits:
    """The parts of a record that keys are made of. Pairs join one given and one family name, sorted."""

    record: StandardRecord
    sounds: tuple[str, ...]
    near: tuple[str, ...]
    letters: tuple[str, ...]
    initial_pairs: tuple[str, ...]
    sound_pairs: tuple[str, ...]
    half_pairs: tuple[str, ...]
    formal: tuple[str, ...]
    year: str
    month: str
    day: str
    addresses: tuple[StandardAddress, ...]


def _traits(record: StandardRecord) -> _Traits:
    given = (record.given or record.middle)[:MAX_BLOCKING_TOKENS]
    family = record.family[:MAX_BLOCKING_TOKENS]
    # A middle name may be the one in use, and a mother's surname that of her newborn.
    others = (*record.middle[:1], *record.mothers_maiden.split(" ")[:1])
    sounds = _distinct(
        soundex(name) for name in (*given, *family, *(name for name in others if len(name) > 1))
    )
    pairs = _pairs(given, family)
    sounding = [(soundex(one), soundex(other)) for one, other in pairs]
    year = record.dob[:4] or _year_of(record.dob_damaged)
    return _Traits(
        record=record,
        sounds=sounds,
        near=_distinct(sound[:_NEAR] for sound in sounds),
        letters=_distinct(name[0] for name in (*given, *family)),
        initial_pairs=_distinct(_unordered(one[0], other[0]) for one, other in pairs),
        sound_pairs=_distinct(_unordered(one, other) for one, other in sounding),
        half_pairs=_distinct(_unordered(one[:_HALF], other[:_HALF]) for one, other in sounding),
        formal=_distinct(_unordered(formal_name(one), formal_name(other)) for one, other in pairs),
        year=year,
        month=record.dob[5:7],
        day=record.dob[8:10],
        addresses=record.addresses[:MAX_VALUES],
    )


def _pairs(given: tuple[str, ...], family: tuple[str, ...]) -> list[tuple[str, str]]:
    """The first given name with every family name, then the other given names with the first."""
    if not given or not family:
        return []
    first = [(given[0], name) for name in family]
    return [*first, *((name, family[0]) for name in given[1:])][:MAX_PAIRS]


def _year_of(damaged: str) -> str:
    year = damaged[:4]
    return year if len(year) == 4 and FIRST_YEAR <= int(year) <= LAST_YEAR else ""


def _unordered(one: str, other: str) -> str:
    return f"{one}|{other}" if one < other else f"{other}|{one}"


def _distinct(values: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(values))


def _date(traits: _Traits) -> str:
    """Day and month in order of size: 3 April and 4 March are one key."""
    first, second = sorted((traits.month, traits.day))
    return f"{traits.year}{first}{second}"


def _home(address: StandardAddress) -> str:
    """Beside a house number the beginning of the street will do, and survives a misspelt rest."""
    street = address.core[:_STREET] if address.house else address.core
    return f"A|{address.house}|{street}"


def _by_birth(traits: _Traits) -> Iterator[_Named]:
    year, month, day = traits.year, traits.month, traits.day
    for pair in traits.half_pairs if month else ():
        yield f"YM|{pair}|{year}{month}", ()
    if not day:
        return
    date = _date(traits)
    closer = tuple(f"YD|{pair}|{year}{day}" for pair in traits.half_pairs)
    for pair, narrow in zip(traits.half_pairs, closer, strict=True):
        yield narrow, ()
        yield f"{_MARK}MD|{pair}|{month}{day}", (narrow,)
    for sound in traits.near:
        yield f"D|{date}|{sound}", closer
    for initials in traits.initial_pairs:
        yield f"I|{date}|{initials}", closer
    for place in _distinct(address.zip or address.city for address in traits.addresses):
        if place:
            yield f"T|{date}|{place}", closer
    for street in _distinct(address.core[:_STREET] for address in traits.addresses):
        if street:
            yield f"{_MARK}R|{date}|{street}", closer


def _by_name(traits: _Traits) -> Iterator[_Named]:
    by_year: tuple[str, ...] = ()
    if traits.year:
        by_year = tuple(f"Y|{pair}|{traits.year}" for pair in traits.sound_pairs)
        by_month = tuple(f"YM|{pair}|{traits.year}{traits.month}" for pair in traits.half_pairs)
        for name in by_year:
            yield name, by_month if traits.month else ()
    zips = tuple(
        f"Z|{pair}|{code}"
        for code in _distinct(address.zip for address in traits.addresses if address.zip)
        for pair in traits.half_pairs
    )
    for name in zips:
        yield name, by_year
    for city in _distinct(address.city for address in traits.addresses if address.city):
        for pair in traits.sound_pairs:
            yield f"C|{pair}|{city}", zips or by_year
    for pair in traits.formal:
        yield f"{_MARK}N|{pair}", (*by_year, *zips)


def _between_rich(traits: _Traits) -> Iterator[_Named]:
    """What finds the rich that share coarse keys and no other."""
    year, month, day = traits.year, traits.month, traits.day
    if not day:
        return
    for pair in traits.sound_pairs:
        yield f"B|{pair}|{month}{day}", ()
    if traits.record.ssn_last4:
        for part in (f"YM|{year}{month}", f"YD|{year}{day}", f"MD|{month}{day}"):
            yield f"L|{traits.record.ssn_last4}|{part}", ()
    date = _date(traits)
    for address in traits.addresses:
        if address.core:
            yield f"R|{date}|{address.core[:_STREET]}|{address.state}", ()
            yield f"{_home(address)}|{month}{day}|{address.state}", ()


def _by_number(traits: _Traits) -> Iterator[_Named]:
    record, year = traits.record, traits.year
    last4 = record.ssn_last4
    if last4:
        halves = tuple(f"L|{last4}|{pair}" for pair in traits.half_pairs)
        for half in halves:
            yield half, ()
        if year:
            yield f"{_MARK}L|{last4}|{year}", halves
        if record.ssn:
            yield f"S|{record.ssn}", halves
            for initials in traits.initial_pairs:
                yield f"F|{record.ssn[:5]}|{initials}", ()
    if record.national_id:
        yield from _by_national_id(record.national_id, traits)
    for identifier in record.identifiers[:MAX_VALUES]:
        yield f"X|{identifier}", ()


def _by_national_id(number: str, traits: _Traits) -> Iterator[_Named]:
    front, back = number[:4], number[-4:]
    halves = tuple(f"E|{back}|{sound}" for sound in traits.sounds)
    yield f"S|{number}", halves
    for half in halves:
        yield half, ()
    if traits.year:
        yield f"E|{front}|{traits.year}", ()
    for code in _distinct(address.zip for address in traits.addresses if address.zip):
        yield f"E|{front}|{code}", ()


def _by_contact(traits: _Traits) -> Iterator[_Named]:
    for phone in traits.record.phones[:MAX_VALUES]:
        by_year = (f"P|{phone}|{traits.year}",) if traits.year else ()
        for name in by_year:
            yield name, ()
        for letter in traits.letters:
            yield f"P|{phone}|{letter}", by_year
    for email in traits.record.emails[:MAX_VALUES]:
        mailbox = email.partition("@")[0]
        yield f"M|{mailbox}", (f"M|{email}",)


def _by_home(traits: _Traits) -> Iterator[_Named]:
    for address in traits.addresses:
        if not address.core:
            continue
        home = _home(address)
        sounds = tuple(f"{home}|{sound}" for sound in traits.sounds)
        for name in sounds:
            yield name, ()
        for initials in traits.initial_pairs:
            yield f"{home}|{initials}", ()
        if traits.year:
            yield f"{home}|{traits.year}", sounds
        if address.house and address.zip:
            # One door of an apartment house; a name in place of a number is the house's own.
            door = address.unit if any(char.isdigit() for char in address.unit) else ""
            yield f"{_MARK}{home}|in {address.zip}|{door}", sounds
