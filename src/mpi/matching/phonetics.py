"""How a name sounds. Codes are bounded-cached: a million patients share some hundred thousand names."""

from __future__ import annotations

from functools import lru_cache

import jellyfish

# What scanners and hasty eyes read instead of a letter.
_LOOKALIKES = str.maketrans("0158", "OLSB")


@lru_cache(maxsize=131_072)
def soundex(name: str) -> str:
    """American Soundex (National Archives rules): a letter and three digits."""
    return jellyfish.soundex(name.translate(_LOOKALIKES))


@lru_cache(maxsize=131_072)
def phonetic_code(name: str) -> str:
    """Metaphone (Philips 1990); the name itself where it has no sound (digits)."""
    return jellyfish.metaphone(name) or name
