"""Values that stand for "not known": never evidence, never blocking, always reported."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from mpi.matching.folding import squeeze, words
from mpi.matching.tables import census_frequencies, read_rows, read_words

# How a value of a trait is written in the table and looked up; other traits are words in a row.
_SQUEEZED_TRAITS = frozenset(("ssn", "number", "date", "phone", "phone_line", "zip"))
_MAILBOX_TRAITS = frozenset(("email_local", "email_domain"))
BIRTH_ORDERS = frozenset("ABCD1234")
"""Letters and digits that the children of one birth are told apart by."""
_SHORTEST_REPEAT = 3
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
        phrase = " ".join(tokens)
        if self._says_nothing(trait, phrase):
            return True
        if trait == "given" and self._is_newborn(tokens, phrase):
            return True
        return len(tokens) > 1 and all(self._says_nothing(trait, t) for t in tokens)

    def _says_nothing(self, trait: str, word: str) -> bool:
        return word in self.values["name"] or word in self.values[trait] or _is_repeat(word)

    def _is_newborn(self, tokens: tuple[str, ...], phrase: str) -> bool:
        """``BABY BOY A``, ``BABYGIRL MARIA``, ``MARIAS BOY``, ``WENDYSGIRL``, ``BABYGIRLA``."""
        if len(tokens) == 1:
            stem = self.without_order(phrase)
            if stem != phrase and stem not in self.values["given_last"]:  # BOYA is a name
                return True
            return any(phrase.endswith(end) for end in self.values["given_end"])
        if tokens[-1] in self.values["given_last"]:
            return True
        if len(tokens[-1]) == 1 and self.is_name("given", tokens[:-1]):
            return True
        starts = self.values["given_start"]
        return tokens[0] in starts or " ".join(tokens[:2]) in starts

    def without_order(self, word: str) -> str:
        """``BABYGIRLA`` is BABYGIRL; any other word is itself, and so is a name that people have: BOYD."""
        if word[-1:] not in BIRTH_ORDERS or word[:-1] not in self.values["given_stem"]:
            return word
        return word if word in census_frequencies()["given"] else word[:-1]

    def is_pair(self, given: tuple[str, ...], family: tuple[str, ...]) -> bool:
        """Whether both names together are one: ``JOHN DOE``, in either order."""
        pairs = self.values["full_name"]
        return " ".join((*given, *family)) in pairs or " ".join((*family, *given)) in pairs


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
    values["name"] |= read_words("name_words")["note"].keys()
    frozen = {trait: frozenset(listed) for trait, listed in values.items()}
    # What stands for a family name alone is in no table, but it is asked for, and may be added.
    frozen.setdefault("family", frozenset())
    return Placeholders(MappingProxyType(frozen))


DEFAULT = _read_table()
