"""Numbers and codes: social security and national ids, phones, e-mail, identifiers, sex, birth order."""

from __future__ import annotations

import re
from dataclasses import dataclass

import phonenumbers

from mpi.matching.folding import fold, squeeze
from mpi.matching.placeholders import Placeholders

SHORTEST_NATIONAL_ID = 5
"""Fewer characters than this tell nobody apart."""

_SEPARATORS = str.maketrans("", "", " -.\t")
# The last four digits, alone or behind a mask of X, * or #: 1234, ***-**-1234, #####1234.
_LAST4 = re.compile(r"(?:[X*#]{3}[- ]?[X*#]{2}[- ]?)?(\d{4})$")
_MASKS = frozenset(("00000", "99999"))
"""Digits that some systems write in place of the first five: 000-00-1234."""
# 412-55-781 lost another digit than a leading zero, so nobody knows which.
_TRUNCATED_SSN = re.compile(r"\d{3}[-. ](?:\d{2}[-. ]\d{3}|\d[-. ]\d{4})$")
_SPREADSHEET_END = re.compile(r"(\d{4,})\.0+$")
_EXTENSION = re.compile(r"\s*(?:;?EXT(?:ENSION)?\.?|X|#)[ .:=]*\d{1,7}\s*$")
_NOT_DIGITS = re.compile(r"\D+")
# NANP: area code and exchange NXX, N from 2 to 9; N11 are service codes (NANPA).
_NANP = re.compile(r"1?([2-9](?!11)\d{2}[2-9]\d{6})$")
_NANP_SHAPED = re.compile(r"(?<!\d)(?:1[-. ]?)?\(?\d{3}\)?[-. /]{0,2}\d{3}[-. ]?\d{4}(?!\d)")
_LONGEST_PHONE = 15
"""Digits of a number after E.164; more of them are two numbers in one field."""
# One mailbox, one domain; more is for the mail server to know (RFC 5321 allows nearly anything).
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+$")
_LONGEST_STUB = 3
"""x@x.com and abc@abc.com are typed to pass a check; smith@smith.com may be a family with a domain."""


@dataclass(frozen=True, slots=True, repr=False)
class ReadNumber:
    """What a social security column held; at most one of ``ssn`` and ``national_id`` is set."""

    ssn: str = ""
    last4: str = ""
    national_id: str = ""
    warning: str = ""


_NO_EVIDENCE = ReadNumber(warning="placeholder")
_NEVER_ISSUED = ReadNumber(warning="impossible")


def read_ssn(text: str, placeholders: Placeholders) -> ReadNumber:
    """Nine digits are an SSN, eight one without its leading zero; another number stays an opaque national id."""
    text = _without_decimals(text)
    bare = text.translate(_SEPARATORS)
    if len(bare) == 9 and bare.isascii() and bare.isdigit():
        return _read_nine_digits(bare, placeholders)
    if match := _LAST4.match(fold(text.strip())):
        last4 = match[1]
        return ReadNumber(last4=last4) if last4 != "0000" else _NO_EVIDENCE
    number = squeeze(text)
    if len(number) == 9 and number.isdigit():  # separators of word processors: 412–55–7813
        return _read_nine_digits(number, placeholders)
    if len(number) == 8 and number.isdigit():
        return _read_eight_digits(text.strip(), number, placeholders)
    return _read_opaque(number, placeholders)


def _without_decimals(text: str) -> str:
    """``412557813.0`` is what a spreadsheet makes of a number."""
    if ".0" in text and (match := _SPREADSHEET_END.match(text.strip())):
        return match[1]
    return text


def _read_eight_digits(text: str, digits: str, placeholders: Placeholders) -> ReadNumber:
    """Spreadsheets drop leading zeros; what would then be no SSN either is another number."""
    if _TRUNCATED_SSN.match(text):
        return ReadNumber(warning="unreadable")
    padded = _read_nine_digits(f"0{digits}", placeholders)
    return _read_opaque(digits, placeholders) if padded == _NEVER_ISSUED else padded


def _read_opaque(number: str, placeholders: Placeholders) -> ReadNumber:
    listed = placeholders.has("number", number) or placeholders.has("ssn", number)
    if listed or len(set(number)) == 1:
        return _NO_EVIDENCE
    if len(number) < SHORTEST_NATIONAL_ID or not any(char.isdigit() for char in number):
        return ReadNumber(warning="unreadable")
    return ReadNumber(national_id=number)


def _read_nine_digits(digits: str, placeholders: Placeholders) -> ReadNumber:
    """SSA: area 000, 666 and 900-999, group 00 and serial 0000 were never issued.

    Numbers from 900 up are given by other authorities (IRS: ITIN and ATIN), so they identify all the same.
    """
    if placeholders.has("ssn", digits):
        return _NO_EVIDENCE
    is_dummy = _is_typed_to_pass(digits)
    if digits[:5] in _MASKS and not is_dummy:
        return ReadNumber(last4=digits[5:])
    is_foreign = digits[0] == "9"
    if not is_foreign and (
        digits[:3] in ("000", "666") or digits[3:5] == "00" or digits[5:] == "0000"
    ):
        return _NEVER_ISSUED
    if is_dummy:
        return _NO_EVIDENCE
    return (
        ReadNumber(national_id=digits) if is_foreign else ReadNumber(ssn=digits, last4=digits[5:])
    )


_COUNTING = ("01234567890123456", "98765432109876543")
_SHORTEST_COUNT = 8


def _is_typed_to_pass(digits: str) -> bool:
    """111-11-1112, 111-22-3333, 234-56-7890, 123-45-6788, 123-123-123: three real ones in a million are so."""
    kinds = len(set(digits))
    if kinds > 3:  # most numbers end here
        return any(digits[:_SHORTEST_COUNT] in row for row in _COUNTING)
    return (
        kinds == 1
        or max(map(digits.count, set(digits))) >= len(digits) - 1
        or digits[:6] == digits[3:]
        or digits[:7] == digits[2:]
        or all(len(set(block)) == 1 for block in (digits[:3], digits[3:5], digits[5:]))
    )


def read_phone(text: str, region: str, placeholders: Placeholders) -> tuple[str, str]:
    """``(E.164 or empty, warning)``; ``region`` is the ISO 3166 country whose dialling rules apply."""
    number = _EXTENSION.sub("", fold(_without_decimals(text))).strip()
    digits = _NOT_DIGITS.sub("", number)
    national = digits[1:] if len(digits) == 11 and digits[0] == "1" else digits
    if placeholders.has("phone", national) or (
        len(national) in (7, 10) and placeholders.has("phone_line", national[-7:])
    ):
        return "", "placeholder"
    if not digits:
        return "", "placeholder" if placeholders.has("number", squeeze(text)) else "unreadable"
    if len(digits) > _LONGEST_PHONE:
        return _read_first_phone(number, region, placeholders)
    foreign = number[0] == "+" and digits[0] != "1"
    if region == "US" and not foreign and (match := _NANP.match(digits)):
        return f"+1{match[1]}", ""
    return _read_foreign_phone(number, region)


def _read_first_phone(number: str, region: str, placeholders: Placeholders) -> tuple[str, str]:
    """``410-287-3344/410-555-0101`` and other lists: the first that can be read."""
    for match in _NANP_SHAPED.finditer(number):
        found, _ = read_phone(match[0], region, placeholders)
        if found:
            return found, ""
    return "", "unreadable"


def _read_foreign_phone(number: str, region: str) -> tuple[str, str]:
    try:
        parsed = phonenumbers.parse(number, region)
    except phonenumbers.NumberParseException:
        return "", "unreadable"
    # A NANP number that missed the pattern is wrong or local, without its area code.
    is_nanp = parsed.country_code == 1
    if not (
        phonenumbers.is_valid_number(parsed) if is_nanp else phonenumbers.is_possible_number(parsed)
    ):
        return "", "unreadable"
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164), ""


def read_email(text: str, placeholders: Placeholders) -> tuple[str, str]:
    """``(lower-case address or empty, warning)``."""
    email = fold("".join(text.split())).removeprefix("MAILTO:")
    if not _EMAIL.match(email):
        known = placeholders.has("number", squeeze(email))
        return "", "placeholder" if known else "unreadable"
    mailbox, _, domain = email.partition("@")
    if (
        placeholders.has("email_local", mailbox)
        or placeholders.has("email_domain", domain)
        or (len(mailbox) <= _LONGEST_STUB and domain.startswith(f"{mailbox}."))
    ):
        return "", "placeholder"
    return email.lower(), ""


# A family has one insurance, guarantor and account, and at times twins. HL7 table 0203, and plain speech.
_SHARED_KINDS = frozenset(
    "MB SN GI GN AN BA MEMBER MEMBERID MEMBERNUMBER SUBSCRIBER SUBSCRIBERID SUBSCRIBERNUMBER INSURANCE INSURANCEID "
    "INSURANCENUMBER POLICY POLICYNUMBER GROUP GROUPNUMBER GUARANTOR ACCOUNT ACCOUNTNUMBER".split()
)


def read_identifier(
    kind: str, system: str | None, value: str, placeholders: Placeholders
) -> tuple[str, str]:
    """``(KIND|SYSTEM|VALUE or empty, warning)``; leading zeros are part of a number."""
    number = squeeze(value)
    if not number:
        return "", "unreadable"
    if not number.strip("0") or placeholders.has("number", number):
        return "", "placeholder"
    if squeeze(kind) in _SHARED_KINDS:
        return "", "shared"
    return f"{squeeze(kind)}|{squeeze(system) if system else ''}|{number}", ""


# HL7 table 0001, FHIR administrative-gender, ISO/IEC 5218 (1 male, 2 female, 0 and 9 not known).
_SEX = {
    **dict.fromkeys(("M", "MALE", "MAN", "BOY", "1"), "M"),
    **dict.fromkeys(("F", "FEMALE", "WOMAN", "GIRL", "2"), "F"),
    **dict.fromkeys(
        ("X", "O", "OTHER", "NONBINARY", "NB", "A", "AMBIGUOUS", "INTERSEX", "I", "3"), "X"
    ),
    **dict.fromkeys(
        (
            "U",
            "UNK",
            "UNKNOWN",
            "N",
            "NA",
            "NOTAPPLICABLE",
            "NOTSPECIFIED",
            "UNSPECIFIED",
            "0",
            "9",
        ),
        "",
    ),
}


def read_sex(text: str) -> str | None:
    """M, F or X; empty when the source says it does not know, None when the word means nothing."""
    return _SEX.get(text) if text in _SEX else _SEX.get(squeeze(text))


_YES = frozenset(("Y", "YES", "TRUE", "T", "TWIN", "TWINS", "TRIPLET", "TRIPLETS", "MULTIPLE"))
_NO = frozenset(("N", "NO", "FALSE", "F", "0", "SINGLETON", "SINGLE"))
_MOST_SIBLINGS = 12


def read_multiple_birth(text: str) -> str | None:
    """Y or N; a number is FHIR's ``multipleBirthInteger``, the order within a multiple birth."""
    word = squeeze(text)
    if word in _YES or read_birth_order(word):
        return "Y"
    return "N" if word in _NO else None


_ORDERS = {"FIRST": "1", "SECOND": "2", "THIRD": "3", "A": "1", "B": "2", "C": "3", "D": "4"}
_ORDER = re.compile(r"0?(\d{1,2})(?:ST|ND|RD|TH)?$")


def read_birth_order(text: str) -> str | None:
    """``1``, ``1st``, ``First`` and ``A`` (Baby A) are 1; None when it is no such number."""
    word = squeeze(text)
    if word in _ORDERS:
        return _ORDERS[word]
    match = _ORDER.match(word)
    return match[1] if match and 1 <= int(match[1]) <= _MOST_SIBLINGS else None
