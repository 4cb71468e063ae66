"""Names as sets of comparable words: case, accents, particles, titles, suffixes and middle initials sorted out.

The rules stand in ``data/name_words.csv``, each with its source.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mpi.matching.folding import words
from mpi.matching.newborns import spell_out
from mpi.matching.tables import census_frequencies, read_rows, read_words
from mpi.matching.text_cache import remembered

_WORDS = read_words("name_words")
_TITLES = frozenset(_WORDS["title"])
_CREDENTIALS = frozenset(_WORDS["credential"])
_SUFFIXES = _WORDS["suffix"]
_FAMILY_SUFFIXES = {**_SUFFIXES, **_WORDS["family_suffix"]}
_WRITTEN_SUFFIXES = {**_SUFFIXES, **_WORDS["suffix_field"]}
_GLUED_SUFFIXES = _WORDS["glued_suffix"]
_NO_SUFFIXES = _CREDENTIALS | frozenset(_WORDS["suffix_filler"])
_SHORTEST_BEFORE_SUFFIX = 4
_FAMILY_PARTICLES = frozenset(_WORDS["family_particle"])
_GIVEN_PARTICLES = frozenset(_WORDS["given_particle"])
_LEADING_MIDDLES = frozenset(_WORDS["leading_middle"])
_PATRONYMICS = frozenset(_WORDS["patronymic"])
_FAMILY_SPELLINGS = _WORDS["family_spelling"]
_CONJUNCTIONS = frozenset(_WORDS["conjunction"])
# The longest first: DUPLICATE MRN before DUPLICATE.
_NOTES = sorted((tuple(note.split()) for note in _WORDS["note"]), key=len, reverse=True)
_NOTE_STARTS = frozenset(note[0] for note in _NOTES)
_NOTE_PREFIXES = tuple(_WORDS["note_prefix"])
_VOWELS = frozenset("AEIOUY")
_SHORTEST_MARKED_NAME = 3


MAX_TOKENS = 8
"""Longest name that is read whole; what follows is text, not a name."""


@dataclass(frozen=True, slots=True, repr=False)
class GivenName:
    """``written`` are all words but notes, as a placeholder is recognised by; the rest is what they are."""

    written: tuple[str, ...] = ()
    given: tuple[str, ...] = ()
    middle: tuple[str, ...] = ()
    suffix: str = ""


@dataclass(frozen=True, slots=True, repr=False)
class FamilyName:
    """As :class:`GivenName`; double and hyphenated surnames are separate tokens."""

    written: tuple[str, ...] = ()
    family: tuple[str, ...] = ()
    suffix: str = ""


@remembered(65_536)
def read_given(text: str) -> GivenName:
    """``Dr. John Q. Jr`` is given JOHN, middle Q, suffix JR; ``Mary Ann`` are two given tokens; ``Thi Lan`` is LAN."""
    written = _written(spell_out(text), "given")
    tokens, suffix = _without_suffix(_without_titles(written), _SUFFIXES)
    own = (*tokens[:1], *_without_patronymics(tokens[1:]))
    joined = _join_particles(own, _GIVEN_PARTICLES)
    middle: tuple[str, ...] = ()
    if len(joined) > 1 and len(joined[-1]) == 1:
        joined, middle = joined[:-1], joined[-1:]
    if len(joined) > 1 and joined[0] in _LEADING_MIDDLES:
        joined, middle = joined[1:], (joined[0], *middle)
    return GivenName(written, joined, middle, suffix)


@remembered(65_536)
def read_family(text: str) -> FamilyName:
    """``De La Cruz-O'Brien III`` is DELACRUZ and OBRIEN, suffix III."""
    written = _written(text, "family")
    tokens, suffix = _without_suffix(_without_titles(written), _FAMILY_SUFFIXES)
    if not suffix and tokens and tokens[-1][-2:] in _GLUED_SUFFIXES:
        tokens, suffix = _without_glued_suffix(tokens)
    # A lone SAINT is a surname of its own; before another word it is the short form of it.
    spelled = (*(_FAMILY_SPELLINGS.get(token, token) for token in tokens[:-1]), *tokens[-1:])
    return FamilyName(
        written, _join_particles(_without_conjunction(spelled), _FAMILY_PARTICLES), suffix
    )


@remembered(16_384)
def read_middle(text: str) -> GivenName:
    """As a given name, but a lone suffix is one: a middle name ``III`` is a shifted column; ``bin Ali`` is ALI."""
    written = _written(text, "given")
    if len(written) == 1 and written[0] in _SUFFIXES:
        return GivenName(written, suffix=_SUFFIXES[written[0]])
    tokens, suffix = _without_suffix(_without_titles(written), _SUFFIXES)
    middle = _join_particles(_without_patronymics(tokens), _GIVEN_PARTICLES)
    return GivenName(written, middle=middle, suffix=suffix)


def part_given(
    given: tuple[str, ...], middle: tuple[str, ...]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Given and middle name, where what stands before the given name is told in its place: THI, LAN are LAN, THI."""
    if len(given) == 1 and given[0] in _LEADING_MIDDLES and middle and len(middle[0]) > 1:
        return middle, given
    return given, middle


@remembered(1_024)
def read_suffix(text: str) -> str | None:
    """The generational suffix; empty for credentials (``MD``), None when it is neither or two generations."""
    meant = {_WRITTEN_SUFFIXES.get(token) for token in words(text) if token not in _NO_SUFFIXES}
    if not meant:
        return ""
    return meant.pop() if len(meant) == 1 else None


def split_whole_name(text: str) -> tuple[str, str] | None:
    """``SMITH, JOHN Q`` in one column as (family, given); None without a comma or with a suffix after it."""
    family, comma, given = text.partition(",")
    if not comma or not given.strip() or not family.strip():
        return None
    # After a surname an I is an initial: nobody writes SMITH, I for the first of the name.
    return (family, given) if words(given) == ["I"] or read_suffix(given) is None else None


def _written(text: str, trait: str) -> tuple[str, ...]:
    """The words of a name without what clerks noted beside it, or a note alone, which is a placeholder."""
    tokens = tuple(words(text))
    if not _NOTE_STARTS.isdisjoint(tokens):
        tokens = _without_notes(tokens)
    if any(token.startswith(_NOTE_PREFIXES) for token in tokens):
        tokens = tuple(_without_mark(token, census_frequencies()[trait]) for token in tokens)
    return tokens[:MAX_TOKENS]


def _without_notes(tokens: tuple[str, ...]) -> tuple[str, ...]:
    """``SMITH DO NOT USE`` is SMITH; of notes and nothing else the last one is left."""
    kept: list[str] = []
    note: tuple[str, ...] = ()
    place = 0
    while place < len(tokens):
        found = next((n for n in _NOTES if tokens[place : place + len(n)] == n), ())
        if not found:
            kept.append(tokens[place])
        note = found or note
        place += len(found) or 1
    return tuple(kept) or note


def _without_mark(token: str, known: Mapping[str, float]) -> str:
    """``ZZSMITH`` and ``ZZZSMITH`` are SMITH, ``ZZZAMORA`` is ZAMORA, ``XXAVIER`` is a slip for XAVIER.

    Before a vowel the last letter of the mark may be the first of the name: only a known name is told from it.
    """
    if not token.startswith(_NOTE_PREFIXES):
        return token
    bare = token.lstrip(token[0])
    if not bare.isalpha() or (len(bare) < _SHORTEST_MARKED_NAME and bare not in known):
        return token
    if bare[0] not in _VOWELS:
        return bare
    return next((name for name in (bare, token[0] + bare) if name in known), token)


def _without_titles(tokens: tuple[str, ...]) -> tuple[str, ...]:
    """Leading titles and trailing credentials go, unless nothing would be left."""
    while len(tokens) > 1 and tokens[0] in _TITLES:
        tokens = tokens[1:]
    while len(tokens) > 1 and tokens[-1] in _CREDENTIALS:
        tokens = tokens[:-1]
    return tokens


def _without_patronymics(tokens: tuple[str, ...]) -> tuple[str, ...]:
    """``BIN ALI`` and ALI are one father's name; a lone BIN is a name."""
    if len(tokens) < 2 or _PATRONYMICS.isdisjoint(tokens):
        return tokens
    return (*(token for token in tokens[:-1] if token not in _PATRONYMICS), tokens[-1])


def _without_suffix(
    tokens: tuple[str, ...], suffixes: Mapping[str, str]
) -> tuple[tuple[str, ...], str]:
    """A generational suffix at the end moves out, when a name remains before it."""
    if len(tokens) > 1 and tokens[-1] in suffixes:
        return tokens[:-1], suffixes[tokens[-1]]
    return tokens, ""


def _without_glued_suffix(tokens: tuple[str, ...]) -> tuple[tuple[str, ...], str]:
    """``SMITHJR`` is SMITH, JR, as SMITH is a surname that people have and SMITHJR is none."""
    known = census_frequencies()["family"]
    bare, end = tokens[-1][:-2], tokens[-1][-2:]
    if len(bare) < _SHORTEST_BEFORE_SUFFIX or bare not in known or tokens[-1] in known:
        return tokens, ""
    return (*tokens[:-1], bare), _GLUED_SUFFIXES[end]


def _without_conjunction(tokens: tuple[str, ...]) -> tuple[str, ...]:
    """``GARCIA Y VEGA`` are two surnames."""
    if len(tokens) < 3:
        return tokens
    return (tokens[0], *(t for t in tokens[1:-1] if t not in _CONJUNCTIONS), tokens[-1])


def _join_particles(tokens: tuple[str, ...], particles: frozenset[str]) -> tuple[str, ...]:
    """A run of particles joins the word that follows: DE LA CRUZ, DELA CRUZ and DELACRUZ agree."""
    if len(tokens) < 2 or particles.isdisjoint(tokens):
        return tuple(dict.fromkeys(tokens))
    joined: list[str] = []
    run = ""
    for token in tokens:
        run += token
        if token not in particles:
            joined.append(run)
            run = ""
    if run:
        joined.append(run)
    return tuple(dict.fromkeys(joined))


def _nickname_classes(*columns: str) -> dict[str, frozenset[int]]:
    """The rows in which each name stands, as the formal one or in one of the columns."""
    classes: dict[str, set[int]] = {}
    for number, row in enumerate(read_rows("nicknames")):
        called = [name for column in columns for name in row[column].split()]
        for name in (row["name"], *called) if called else ():
            classes.setdefault(name, set()).add(number)
    return {name: frozenset(numbers) for name, numbers in classes.items()}


def _spelling_classes() -> dict[str, frozenset[int]]:
    """The rows of each name that is written in several ways in Latin letters, as numbers below those of nicknames."""
    classes: dict[str, set[int]] = {}
    for number, row in enumerate(read_rows("transliterations"), start=1):
        for name in row["names"].split():
            classes.setdefault(name, set()).add(-number)
    return {name: frozenset(numbers) for name, numbers in classes.items()}


_NICKNAMES = _nickname_classes("nicknames", "unkeyed")
_SPELLINGS = _spelling_classes()
_NO_CLASS: frozenset[int] = frozenset()
_CLASSES = {
    name: _NICKNAMES.get(name, _NO_CLASS) | _SPELLINGS.get(name, _NO_CLASS)
    for name in _NICKNAMES.keys() | _SPELLINGS.keys()
}
_SIBLINGS = frozenset(
    frozenset(pair.split())
    for pair in (
        "ANDREA ANDREW", "ANNA HANNAH", "ANNA SAVANNAH", "ELLA GABRIELLA", "EMILY EMMA", "JONATHAN NATHAN",
        "KAYLA MAKAYLA", "KAYLA MIKAYLA", "LINDA MELINDA", "LISA MELISSA", "MARIA MARIE",
    )
)  # fmt: skip
"""Short forms of each other once, and names that parents give to two of their children now, twins among them."""
_FORMAL = {row["name"]: number for number, row in enumerate(read_rows("nicknames"))}
_FORMAL_NAMES = tuple(_FORMAL)


def nickname_class(name: str) -> frozenset[int]:
    """The classes (a formal name and its nicknames, spellings of one name) that a given name belongs to, if any."""
    return _CLASSES.get(name, _NO_CLASS)


def _formal_names() -> dict[str, str]:
    """Each name of the table with the commonest formal name that it leads to, over several steps if need be.

    Spellings of one name have none, nor have unkeyed nicknames: keys of stored records are made of it, and stay what
    they are (ADR 0024).
    """
    common = census_frequencies()["given"]
    commonest = {
        name: max((common.get(_FORMAL_NAMES[n], 0.0), _FORMAL_NAMES[n]) for n in numbers)[1]
        for name, numbers in _nickname_classes("nicknames").items()
    }

    def end(name: str) -> str:
        # A formal name is in its own class, so that each further step leads to a commoner one.
        formal = commonest[name]
        return formal if formal == name else end(formal)

    return {name: end(name) for name in commonest}


_FORMAL_OF = _formal_names()


def formal_name(name: str) -> str:
    """One name for all that may be short for it or stand beside it: ROBERT for BOB; itself when it is in no table."""
    return _FORMAL_OF.get(name, name)


def are_nicknames(left: str, right: str) -> bool:
    """Whether two different given names may call one person: BOB and ROBERT, BOB and ROB, YURI and IOURI.

    MARY and MARIE may both be short for ROSEMARY, yet they are names of their own: one must call the other.
    """
    mine, theirs = _CLASSES.get(left), _CLASSES.get(right)
    if mine is None or theirs is None or left == right or mine.isdisjoint(theirs):
        return False
    if {left, right} in _SIBLINGS:
        return False
    shared = mine & theirs
    if min(shared) < 0:  # spellings of one name
        return True
    formal = _FORMAL.get(left), _FORMAL.get(right)
    return None in formal or not shared.isdisjoint(formal)
