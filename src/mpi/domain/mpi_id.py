"""The enterprise identifier of a person: ``MPI-`` + eight characters + a check character.

The alphabet leaves out I, L, O, U, S and Z, which people misread; it has 30 characters so that the hybrid
check of ISO/IEC 7064 (MOD 31,30) exists: it finds every single wrong character and 499 of 500 swaps of
neighbours. Numbers come from a counter of the store, so ids sort by creation and are never reused.
See ``docs/adr`` for why this form was chosen.
"""

from __future__ import annotations

ALPHABET = "0123456789ABCDEFGHJKMNPQRTVWXY"
PREFIX = "MPI-"
_LENGTH = 8
_BASE = len(ALPHABET)
_VALUE = {c: i for i, c in enumerate(ALPHABET)}
_LOOKALIKES = str.maketrans({"O": "0", "I": "1", "L": "1", "S": "5", "Z": "2", "U": "V"})


def format_mpi_id(number: int) -> str:
    """The id of the ``number``-th person (0 ≤ number < 30⁸)."""
    if not 0 <= number < _BASE**_LENGTH:
        raise ValueError("person number out of range")
    body = ""
    for _ in range(_LENGTH):
        number, digit = divmod(number, _BASE)
        body = ALPHABET[digit] + body
    return f"{PREFIX}{body}{_check_character(body)}"


def parse_mpi_id(text: str) -> str | None:
    """The canonical form of a typed id (case, spaces, hyphens and look-alikes forgiven), or None."""
    compact = text.strip().upper().replace(" ", "").replace("-", "")
    if not compact.startswith("MPI"):
        return None
    body = compact[3:].translate(_LOOKALIKES)
    if len(body) != _LENGTH + 1 or any(c not in _VALUE for c in body):
        return None
    return f"{PREFIX}{body}" if _check_character(body[:-1]) == body[-1] else None


def _check_character(body: str) -> str:
    """ISO/IEC 7064 hybrid system MOD M+1,M with M = 30."""
    product = _BASE
    for character in body:
        total = (product + _VALUE[character]) % _BASE or _BASE
        product = total * 2 % (_BASE + 1)
    return ALPHABET[(_BASE + 1 - product) % _BASE]
