"""Values that stand for "not known": never evidence, never blocking, always reported."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from mpi.matching.folding import squeeze, words
from mpi.matching.tables import census_frequencies, read_rows, read_words

_NAME_WORDS = read_words("name_words")
_TITLES = frozenset(_NAME_WORDS["title"])

# How a value of a trait is written in the table and looked up; other traits are words in a row.
_SQUEEZED_TRAITS = frozenset(("ssn", "number", "date", "phone", "phone_line", "zip"))
_MAILBOX_TRAITS = frozenset(("email_local", "email_domain"))
BIRTH_ORDERS = frozenset("ABCD1234")
"""Letters and digits that the children of one birth are told apart by."""
_SHORTEST_REPEAT = 3
_SHORTEST_MOTHER = 3
"""Letters of a mother's name that BOY or GIRL is glued to: LABOY is no child of La's."""
_LIKE_NEWBORNS = frozenset(("BOYA",))
"""Names that people have though no census tells of them."""
_ANYTHING = re.compile(r".+")
_FORMS = {"phone": re.compile(r"\d+"), "phone_line": re.compile(r"\d{7}")}
"""What a value has to be like to be found at all. An empty one would be found everywhere."""
_AMERICAN = re.compile(r"1\d{10}")
"""A number of North America with its country code, which is looked up without it."""


@dataclass(frozen=True, slots=True)
class Placeholders:
    """Trait → values. The traits are those of ``data/placeholders.csv``; see there for what each means."""

    values: Mapping[str, frozenset[str]]

    def has(self, trait: str, value: str) -> bool:
        """Whether ``value``, in comparison form, stands for nothing."""
        return value in self.values[trait]

    def extended(self, more: Mapping[str, Iterable[str]]) -> Placeholders:
        """These and ``more``. Raises ``ValueError`` naming a trait that is unknown or has a value of another form."""
        unknown = sorted(set(more) - set(self.values))
        if unknown:
            known = ", ".join(sorted(self.values))
            raise ValueError(
                f"no placeholders are kept for {', '.join(unknown)}; traits are {known}"
            )
        merged = dict(self.values)
        for trait, values in more.items():
            written = {_written(trait, value) for value in values}
            if not all(map(_FORMS.get(trait, _ANYTHING).fullmatch, written)):
                raise ValueError(f"a placeholder of {trait} is empty or has another form")
            merged[trait] |= written
        return Placeholders(MappingProxyType(merged))

    def is_name(self, trait: str, tokens: tuple[str, ...]) -> bool:
        """Whether a given, middle or family name is a placeholder as a whole."""
        if trait == "given":
            tokens = without_titles(tokens)
        phrase = " ".join(tokens)
        if self._says_nothing(trait, phrase):
            return True
        if trait == "given" and self._is_newborn(tokens):
            return True
        return len(tokens) > 1 and all(self._says_nothing(trait, t) for t in tokens)

    def is_temporary(self, tokens: tuple[str, ...]) -> bool:
        """Whether a given name is that of a newborn: ``BABY BOY``, but not ``UNKNOWN``."""
        if not tokens or not self.is_name("given", tokens):
            return False
        return self._is_newborn(tokens) or tokens[0] in self.values["given_stem"]

    def _says_nothing(self, trait: str, word: str) -> bool:
        return word in self.values["name"] or word in self.values[trait] or _is_repeat(word)

    def _is_newborn(self, tokens: tuple[str, ...]) -> bool:
        """``BABY BOY A``, ``BABYGIRL MARIA``, ``MARIAS BOY``, ``WENDYSGIRL``, ``BABYGIRLA``, ``2 WENDYSGIRL``."""
        if len(tokens) == 1:
            stem, order = self.part_order(tokens[0])
            return bool(order) or self._names_a_mother(stem)
        if tokens[-1] in self.values["given_last"]:
            return True
        if len(tokens[-1]) == 1 and self._is_counted(tokens[:-1], tokens[-1]):
            return True
        if tokens[0].isdigit() and tokens[0] in BIRTH_ORDERS and self.is_name("given", tokens[1:]):
            return True
        starts = self.values["given_start"]
        return self.part_order(tokens[0])[0] in starts or " ".join(tokens[:2]) in starts

    def _is_counted(self, tokens: tuple[str, ...], sign: str) -> bool:
        """``BABY BOY A``; BEBE alone may be a name, BEBE A is the first of several."""
        if self.is_name("given", tokens):
            return True
        return sign in BIRTH_ORDERS and len(tokens) == 1 and tokens[0] in self.values["given_stem"]

    def part_order(self, word: str) -> tuple[str, str]:
        """``BABYGIRLA`` and ``2WENDYSGIRL`` as (BABYGIRL, A) and (WENDYSGIRL, 2).

        Any other word is itself and has no order, and so is a name that people have: BOYD.
        """
        first, last = word[:1], word[-1:]
        if first.isdigit() and first in BIRTH_ORDERS and self._is_stem(word[1:]):
            return word[1:], first
        if last in BIRTH_ORDERS and self._is_stem(word[:-1]) and not _is_in_use(word):
            return word[:-1], last
        return word, ""

    def _is_stem(self, word: str) -> bool:
        return word in self.values["given_stem"] or self._names_a_mother(word)

    def _names_a_mother(self, word: str) -> bool:
        """``WENDYSGIRL`` and ``MARIABOY``."""
        ends = self.values["given_end"]
        return not _is_in_use(word) and any(
            word.endswith(end) and len(word) - len(end) >= _SHORTEST_MOTHER for end in ends
        )

    def is_pair(self, given: tuple[str, ...], family: tuple[str, ...]) -> bool:
        """Whether both names together are one: ``JOHN DOE``, in either order."""
        pairs = self.values["full_name"]
        return " ".join((*given, *family)) in pairs or " ".join((*family, *given)) in pairs


def without_titles(tokens: tuple[str, ...]) -> tuple[str, ...]:
    """A given name without the titles before it; a lone title stands for a name."""
    while len(tokens) > 1 and tokens[0] in _TITLES:
        tokens = tokens[1:]
    return tokens


def _is_in_use(word: str) -> bool:
    return word in census_frequencies()["given"] or word in _LIKE_NEWBORNS


def _is_repeat(token: str) -> bool:
    return len(token) >= _SHORTEST_REPEAT and len(set(token)) == 1


def _written(trait: str, value: str) -> str:
    if trait in _SQUEEZED_TRAITS:
        squeezed = squeeze(value)
        return squeezed[1:] if trait == "phone" and _AMERICAN.fullmatch(squeezed) else squeezed
    if trait in _MAILBOX_TRAITS:
        return value.strip().upper()
    return " ".join(words(value))


def _read_table() -> Placeholders:
    values: dict[str, set[str]] = {}
    for row in read_rows("placeholders"):
        values.setdefault(row["trait"], set()).add(_written(row["trait"], row["value"]))
    # A clerk's note with no name beside it tells none.
    values["name"] |= _NAME_WORDS["note"].keys()
    frozen = {trait: frozenset(listed) for trait, listed in values.items()}
    # What stands for a family name alone is in no table, but it is asked for, and may be added.
    frozen.setdefault("family", frozenset())
    return Placeholders(MappingProxyType(frozen))


DEFAULT = _read_table()
