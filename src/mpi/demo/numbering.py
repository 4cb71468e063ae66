"""Numbers of people: social security numbers, telephone numbers, registration numbers."""

from __future__ import annotations

from mpi.demo.draw import Draw
from mpi.demo.tables import City

# Areas 001-899 without 666, groups 01-99, serials 0001-9999 (SSA: never issued are area 000,
# 666 and 900-999, group 00, serial 0000).
_AREAS, _GROUPS, _SERIALS = 898, 99, 9999
# Four neighbouring numbers per slot: one's own, two for twins, one in reserve.
_PER_SLOT = 4
SSN_SLOTS = _AREAS * _GROUPS * _SERIALS // _PER_SLOT
_RESERVE = 3
# A prime that does not divide SSN_SLOTS: multiplying by it only rearranges the slots.
_STRIDE = 87_178_291

# Numbers known from advertisements and forms; nobody's own.
_NOBODYS = frozenset(
    {"123456789", "078051120", "219099999", "457555462", "123121234"}
    | {str(digit) * 9 for digit in range(1, 9)}
)
_REGISTRATIONS = 10**10
_REGISTRATION_STRIDE = 3_141_592_657

_NO_LINES = frozenset({0, 1111, 1234, 9999})


def ssn(seed: int, slot: int, offset: int = 0) -> str:
    """The nine-digit number of ``slot`` (below ``SSN_SLOTS``): distinct for distinct
    ``(slot, offset)``; offsets 0, 1 and 2 are neighbours, as brothers' numbers may be."""
    place = (slot * _STRIDE + seed * 104_729_003) % SSN_SLOTS * _PER_SLOT
    number = _nth(place + offset)
    return _nth(place + _RESERVE) if number in _NOBODYS else number


def _nth(place: int) -> str:
    rest, serial = divmod(place, _SERIALS)
    area, group = divmod(rest, _GROUPS)
    area += 1 if area < 665 else 2
    return f"{area:03d}{group + 1:02d}{serial + 1:04d}"


def phone(draw: Draw, city: City) -> str:
    """Ten digits of the form NXX-NXX-XXXX: a real area code of ``city``, no service code
    (N11) and no directory or fiction exchange (555)."""
    while True:
        exchange, line = 200 + draw.below(800), draw.below(10_000)
        if exchange % 100 != 11 and exchange != 555 and line not in _NO_LINES:
            return f"{draw.pick(city.area_codes)}{exchange}{line:04d}"


def registration_number(slot: int, ordinal: int) -> int:
    """A ten-digit number for registration ``ordinal`` (below 8) of the person in ``slot``.

    It is scrambled, because a number that tells who is who would make matching a game of it.
    """
    return (slot * 8 + ordinal + 1) * _REGISTRATION_STRIDE % _REGISTRATIONS
