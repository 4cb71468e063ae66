"""Which records are worth comparing: keys that two records of one person nearly always share one of.

Every key joins at least two traits (or one that is nearly unique), so blocks stay small; keys of names are free of
order, so swapped and double names meet. A key is a 63-bit number that says nothing about the patient.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from hashlib import blake2b
from itertools import product

from mpi.matching.phonetics import soundex
from mpi.matching.record import StandardAddress, StandardRecord

BlockingKeys = tuple[tuple[int, tuple[int, ...]], ...]

MAX_TOKENS = 3
"""Words of a given or family name that make keys; more words would make keys without finding more."""

MAX_VALUES = 4
"""Addresses, phones, e-mails and identifiers that make keys, each."""

_MAX_PAIRS = 3
SL = 4
DCM = 1


def key_of(tag: str, *parts: str) -> int:
    """A stable non-negative number below 2**63 (SQLite and BSON integers are signed)."""
    text = "|".join((tag, *parts))
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest()) >> 1


Named = tuple[str, tuple[str, ...]]


def named_keys(record: StandardRecord) -> Iterator[Named]:
    traits = _Traits(record)
    yield from _birth_keys(traits)
    yield from _name_keys(traits)
    yield from _number_keys(traits)
    yield from _contact_keys(traits)


class _Traits:
    def __init__(self, record: StandardRecord) -> None:
        self.record = record
        given, family = record.given[:MAX_TOKENS], record.family[:MAX_TOKENS]
        spare = tuple(
            t for t in (*record.middle[:1], *record.mothers_maiden.split(" ")) if len(t) > 1
        )
        self.sounds = tuple(dict.fromkeys(soundex(t) for t in (*given, *family, *spare)))
        self.initials = tuple(dict.fromkeys(t[0] for t in (*given, *family)))
        combos = sorted(
            product(given or record.middle[:1], family),
            key=lambda c: c[0] != (given or record.middle)[0],
        )[:_MAX_PAIRS]
        self.pairs = tuple(
            dict.fromkeys("|".join(sorted((soundex(a), soundex(b)))) for a, b in combos)
        )
        self.coarse = tuple(
            dict.fromkeys("|".join(sorted((soundex(a)[:2], soundex(b)[:2]))) for a, b in combos)
        )
        self.initials2 = tuple(dict.fromkeys("|".join(sorted((a[0], b[0]))) for a, b in combos))
        self.exact = tuple(dict.fromkeys("|".join(sorted((a, b))) for a, b in combos))
        dob = record.dob or ""
        self.year, self.month, self.day = dob[:4], dob[5:7], dob[8:10]
        if (
            not dob
            and record.dob_damaged[:4].isdigit()
            and 1850 <= int(record.dob_damaged[:4]) <= 2100
        ):
            self.year = record.dob_damaged[:4]


def _birth_keys(t: _Traits) -> Iterator[Named]:
    if t.day:
        date = "".join((t.year, *sorted((t.month, t.day))))
        exact = tuple(dict.fromkeys(f"D|{date}|{s[:SL]}" for s in t.sounds))
        for key in exact:
            yield key, ()
        for z in dict.fromkeys(a.core[:4] for a in t.record.addresses[:MAX_VALUES]):
            if z:
                yield f"DA|{date}|{z}", ()
        for z in dict.fromkeys(a.zip for a in t.record.addresses[:MAX_VALUES]):
            if z:
                yield f"DZ|{date}|{z}", ()
        for z in dict.fromkeys(a.city for a in t.record.addresses[:MAX_VALUES]):
            if z and DCM == 1:
                yield f"DC|{date}|{z}", ()
            if z and DCM == 2:
                for i in t.initials:
                    yield f"DC|{date}|{z}|{i}", ()
        for i in t.initials2:
            yield f"I|{date}|{i}", exact
        for p in t.coarse:
            yield f"YD|{p}|{t.year}{t.day}", ()
            yield f"MD|{p}|{t.month}{t.day}", (
                f"YD|{p}|{t.year}{t.day}",
                f"YM|{p}|{t.year}{t.month}",
            )
    if t.month:
        for p in t.coarse:
            yield f"YM|{p}|{t.year}{t.month}", ()


def _name_keys(t: _Traits) -> Iterator[Named]:
    if t.year:
        for p in t.pairs:
            yield f"Y|{p}|{t.year}", (f"YM|{p}|{t.year}{t.month}", f"YD|{p}|{t.year}{t.day}")
    for a in t.record.addresses[:MAX_VALUES]:
        for p in t.pairs:
            if a.zip:
                yield f"Z|{p}|{a.zip}", (f"Z|{p}|{a.zip}|{t.year}",)
            if a.city:
                yield f"C|{p}|{a.city}", (f"Y|{p}|{t.year}",)
    for e in t.exact:
        yield f"N?|{e}", ()
        if not t.year:
            yield f"N|{e}", ()


def silent(record):
    t = _Traits(record)
    return [f"N|{e}" for e in t.exact]


def _number_keys(t: _Traits) -> Iterator[Named]:
    r = t.record
    if r.ssn:
        yield f"S|{r.ssn}", ()
    if r.ssn_last4:
        for s in t.coarse:
            yield f"L|{r.ssn_last4}|{s}", ()
        if t.year:
            yield f"L|{r.ssn_last4}|{t.year}", ()
    if r.national_id:
        yield f"S|{r.national_id}", ()
        for a in r.addresses[:2]:
            if a.zip:
                yield f"EF|{r.national_id[:4]}|{a.zip}", ()
        if t.year:
            yield f"EF|{r.national_id[:4]}|{t.year}", ()
        for s in t.sounds:
            yield f"EB|{r.national_id[-4:]}|{s}", ()
    for x in r.identifiers[:MAX_VALUES]:
        yield f"X|{x}", ()


def _contact_keys(t: _Traits) -> Iterator[Named]:
    r = t.record
    for p in r.phones[:MAX_VALUES]:
        for i in t.initials:
            yield f"P|{p}|{i}", ()
        if t.year:
            yield f"P|{p}|{t.year}", ()
    for m in r.emails[:MAX_VALUES]:
        local = m.partition("@")[0]
        yield f"ML|{local}", (f"M|{m}",)
    for a in r.addresses[:MAX_VALUES]:
        if a.core:
            place = a.core[:4] if a.house else a.core
            sounds = tuple(f"AS|{a.house}|{place}|{s}" for s in t.sounds)
            for s in sounds:
                yield s, ()
            if len(t.initials) > 1:
                for g in t.initials2:
                    yield f"A2|{a.house}|{place}|{g}", ()
            if t.year:
                yield f"AY|{a.house}|{place}|{t.year}", ()
            if a.house and a.zip:
                yield f"AZ|{a.house}|{place}|{a.zip}", sounds
