"""One alphabet for comparing: upper-case ASCII, whatever script a value was written in."""

from __future__ import annotations

import re
import unicodedata

from anyascii import anyascii

_WORD = re.compile(r"[A-Z0-9]+")

# Apostrophes join (O'BRIEN is OBRIEN). U+02BB..BC and the modifier letters of transliterated
# Arabic and Hawaiian names stand for the same sign.
_JOINING = str.maketrans("", "", "'`\u2018\u2019\u02bb\u02bc\u02be\u02bf\u00b4\u2032")


def fold(text: str) -> str:
    """Upper-case ASCII; accents stripped, other scripts transliterated, nothing that is a letter lost."""
    if text.isascii():
        return text.upper()
    composed = unicodedata.normalize("NFKC", text)
    if composed.isascii():
        return composed.upper()
    return "".join(_latin(char) for char in composed).upper()


def _latin(char: str) -> str:
    latin = anyascii(char)
    if not latin and char.isalpha():
        # A script without a transliteration still tells one name from another.
        return f"U{ord(char):X}"
    return latin


def squeeze(text: str) -> str:
    """Letters and digits only, folded: ``ab-12 c`` is ``AB12C``."""
    return "".join(_WORD.findall(fold(text)))


def words(text: str) -> list[str]:
    """The folded words: apostrophes join, dots join initials and end words, all else separates."""
    if not text.isalpha():
        text = text.translate(_JOINING)
    folded = fold(text)
    if "'" in folded:  # some transliterations write soft signs and glottal stops as apostrophes
        folded = folded.replace("'", "")
    if "." in folded:
        folded = _join_dots(folded)
    return _WORD.findall(folded)


_DOT_BEFORE_WORD = re.compile(r"\.(?=[A-Z0-9]{2})")


def _join_dots(text: str) -> str:
    """``M.D.`` is MD, ``ST.JOHN`` are two words."""
    return _DOT_BEFORE_WORD.sub(" ", text).replace(".", "")
