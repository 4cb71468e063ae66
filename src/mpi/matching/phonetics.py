"""How a name sounds. Codes are bounded-cached: a million patients share some hundred thousand names."""

from __future__ import annotations

import jellyfish

from mpi.matching.text_cache import remembered

# What scanners and hasty eyes read instead of a letter.
_LOOKALIKES = str.maketrans("0158", "OLSB")


@remembered(131_072)
def soundex(name: str) -> str:
    """American Soundex (National Archives rules): a letter and three digits."""
    return jellyfish.soundex(name.translate(_LOOKALIKES))


@remembered(131_072)
def phonetic_code(name: str) -> str:
    """Metaphone (Philips 1990); the name itself where it has no sound (digits)."""
    return jellyfish.metaphone(name) or name
