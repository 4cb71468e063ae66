"""Patients made up by seed, each unlike all others, and the small faults that registrations have."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random

Patient = dict[str, str]

_CONSONANTS, _VOWELS = "bdfgklmnprstvz", "aeiou"


def word(chance: Random, syllables: int) -> str:
    """A pronounceable word that no census knows."""
    return "".join(
        chance.choice(_CONSONANTS) + chance.choice(_VOWELS) for _ in range(syllables)
    ).title()


def digits(chance: Random, count: int) -> str:
    """Digits without a leading zero or one, so that they pass as parts of real numbers."""
    return str(chance.randrange(2, 9)) + "".join(
        chance.choice("23456789") for _ in range(count - 1)
    )


def made_up(chance: Random) -> Patient:
    """One patient with every common trait."""
    return {
        "first_name": word(chance, 3),
        "last_name": word(chance, 4),
        "dob": f"{chance.randrange(1930, 2010)}-{chance.randrange(2, 13):02}-"
        f"{chance.randrange(2, 28):02}",
        "sex": chance.choice("FM"),
        "ssn": f"{digits(chance, 3)}-{digits(chance, 2)}-{digits(chance, 4)}",
        "address": f"{digits(chance, 3)} {word(chance, 3)} Street",
        "city": word(chance, 3),
        "state": "OR",
        "zip": f"97{digits(chance, 3)}",
        "phone": f"503-{digits(chance, 3)}-{digits(chance, 4)}",
    }


def _swapped(text: str, at: int) -> str:
    return text[:at] + text[at + 1] + text[at] + text[at + 2 :]


def _without(*names: str) -> Callable[[Patient], Patient]:
    return lambda patient: {name: text for name, text in patient.items() if name not in names}


def _changed(name: str, change: Callable[[str], str]) -> Callable[[Patient], Patient]:
    return lambda patient: patient | {name: change(patient[name])}


FAULTS: Mapping[str, Callable[[Patient], Patient]] = {
    "letters of the given name swapped": _changed("first_name", lambda text: _swapped(text, 2)),
    "a letter of the family name missing": _changed("last_name", lambda text: text[:5] + text[6:]),
    "another day of birth": _changed("dob", lambda text: text[:-1] + "1"),
    "the family name in capitals": _changed("last_name", str.upper),
    "no address and phone": _without("address", "city", "state", "zip", "phone"),
    "digits of the phone swapped": _changed("phone", lambda text: _swapped(text, 9)),
    "no sex": _without("sex"),
    "another house": _changed("address", lambda text: "9" + text[3:]),
}
"""One mistake each; any two of them together are still no reason to doubt who it is."""
