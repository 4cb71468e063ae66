"""The comparison form of a record: what is left when every trait has been read once.

All text is upper-case ASCII (non-Latin scripts transliterated) except e-mail addresses, which are lower-case;
placeholders are gone, unreadable dates are kept as ``dob_damaged``. Empty means "not known". Stored beside the raw
record so that nothing is read twice.
"""

from __future__ import annotations

from typing import NamedTuple

from mpi.domain.record import filled


class StandardAddress(NamedTuple):
    """``house`` and ``street`` are the number and the normalised name with type and direction (``N MAIN ST``);
    ``core`` the bare street name (``MAIN``) or ``PO BOX 12``."""

    house: str = ""
    street: str = ""
    core: str = ""
    unit: str = ""
    city: str = ""
    state: str = ""
    zip: str = ""

    def __repr__(self) -> str:
        return filled(self, self._fields)


class StandardRecord(NamedTuple):
    """Values ready to compare. Tuples hold every value given, the official one first."""

    given: tuple[str, ...] = ()  # tokens of the given names: ("MARY", "ANN")
    middle: tuple[str, ...] = ()
    family: tuple[str, ...] = ()  # tokens of all surnames, current first, then maiden
    suffix: str = ""  # JR SR II III IV V
    dob: str = ""  # YYYY-MM-DD, YYYY-MM or YYYY; a day that exists
    dob_damaged: str = ""  # the digits of a date that could not be read
    sex: str = ""  # M F X
    ssn: str = ""  # nine digits
    ssn_last4: str = ""  # also set when ssn is
    national_id: str = ""  # a number without US SSN form
    addresses: tuple[StandardAddress, ...] = ()
    phones: tuple[str, ...] = ()  # E.164
    emails: tuple[str, ...] = ()
    identifiers: tuple[str, ...] = ()  # "KIND|SYSTEM|VALUE"
    mothers_maiden: str = ""
    birth_order: str = ""
    multiple_birth: str = ""  # Y N
    deceased: str = ""

    def __repr__(self) -> str:
        return filled(self, self._fields)
