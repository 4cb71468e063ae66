"""Where people live: addresses in real cities, with ZIP and area codes that fit."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache

from mpi.demo.draw import BUILDING, Draw
from mpi.demo.numbering import phone
from mpi.demo.tables import City, cities, streets

_NOTHING = ("", "")


# Not frozen, for speed; see ``people.Person``.
@dataclass(slots=True)
class Residence:
    """One home. ``direction`` and ``kind`` are (long, short) forms; ``landline`` may be ''."""

    number: str
    direction: tuple[str, str]
    street: str
    kind: tuple[str, str]
    unit: str
    city: City
    zip: str
    plus4: str
    landline: str

    @property
    def is_box(self) -> bool:
        return not self.street


def draw_residence(draw: Draw, near: City | None = None) -> Residence:
    """A home, in the city ``near`` or anywhere (cities by population)."""
    city = near or cities().draw(draw)
    landline = phone(draw, city) if draw.chance(0.45) else ""
    zip_code = draw.pick(city.zips)
    plus4 = str(1000 + draw.below(9000))
    luck = draw.random()
    if luck < 0.02:
        box = str(draw.between(10, 9999))
        return Residence(box, _NOTHING, "", _NOTHING, "", city, zip_code, plus4, landline)
    if luck < 0.12:
        return _in_big_building(draw, city, landline)
    tables = streets()
    number = str(int(10 ** (1.3 + 2.7 * draw.random())))
    direction = draw.pick(tables.directions) if draw.chance(0.22) else _NOTHING
    street, kind = tables.names.draw(draw), tables.types.draw(draw)
    unit = _unit(draw) if draw.chance(0.25) else ""
    return Residence(number, direction, street, kind, unit, city, zip_code, plus4, landline)


def _unit(draw: Draw) -> str:
    style = draw.random()
    if style < 0.5:
        return str(draw.between(1, 40))
    if style < 0.8:
        return f"{draw.between(1, 24)}{draw.pick('ABCDEF')}"
    return str(100 * draw.between(1, 12) + draw.between(1, 20))


def _in_big_building(draw: Draw, city: City, landline: str) -> Residence:
    """One of 40 buildings of the city that many households share, homes for the old too."""
    which = draw.below(40)
    unit = "" if which < 8 else str(100 * draw.between(1, 25) + draw.between(1, 30))
    return replace(_building(city, which), unit=unit, landline=landline)


@cache
def _building(city: City, which: int) -> Residence:
    draw, tables = Draw.of(int(city.zips[0]), which, BUILDING), streets()
    return Residence(
        number=str(100 * draw.between(1, 90) + draw.below(100)),
        direction=_NOTHING,
        street=tables.names.draw(draw),
        kind=tables.types.draw(draw),
        unit="",
        city=city,
        zip=draw.pick(city.zips),
        plus4=str(1000 + draw.below(9000)),
        landline="",
    )
