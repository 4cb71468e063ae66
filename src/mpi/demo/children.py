"""Children of a household: brothers and sisters, twins, namesakes of their fathers, newborns."""

from __future__ import annotations

from datetime import date

from mpi.demo.draw import Draw, Weighted
from mpi.demo.making import YEAR, Making, Sketch, leaving, lend
from mpi.demo.names import HISPANIC, Called, Family, draw_alike, draw_family, draw_given
from mpi.demo.people import CLOSING, Person, Timeline, at
from mpi.demo.places import Residence, draw_residence

_CHILDREN = Weighted([(1, 38), (2, 38), (3, 17), (4, 7)])
_TWIN_BIRTHS = 0.032
_GENERATIONS = {"": "Jr", "Sr": "Jr", "Jr": "III"}


def add_children(
    making: Making,
    mother: Person,
    father: Person | None,
    family: Family,
    home: Timeline[Residence],
    *,
    named_after: bool,
) -> None:
    draw = making.draw
    surname = _childs_surname(draw, family, mother)
    day = mother.birth_day + int((19 + draw.random() * 14) * YEAR)
    born: list[Person] = []
    for _ in range(_CHILDREN.draw(draw)):
        if day > CLOSING - 2:
            break
        twins = draw.chance(_TWIN_BIRTHS)
        heir = father if named_after and not any(c.sex == "M" for c in born) else None
        child = _child(making, mother, family, home, day)
        child.surnames = ((0, surname),)
        _name(making, child, None if twins else heir)
        _grow_up(draw, child)
        child.order = "1" if twins else ""
        arrivals = [making.add(child)]
        if twins:
            arrivals.append(making.add(_second_twin(draw, child, arrivals[0])))
            making.relate(arrivals[0], arrivals[1], "twin")
        for arrival in arrivals:
            _relate_child(making, arrival, mother, father, born)
        born += arrivals
        day += draw.between(430, 1600)


def _relate_child(
    making: Making, child: Person, mother: Person, father: Person | None, born: list[Person]
) -> None:
    making.relate(mother, child, "parent")
    if father is not None:
        same = father.given == child.given and bool(child.suffix)
        making.relate(father, child, "jr" if same else "parent")
    for sibling in born:
        making.relate(sibling, child, "sibling")


def _childs_surname(draw: Draw, family: Family, mother: Person) -> str:
    own = mother.maiden
    if " " in family.text + own or "-" in family.text + own or family.text == own:
        return family.text
    if family.culture == HISPANIC and draw.chance(0.4):
        return f"{family.text} {own}"
    return f"{family.text}-{own}" if draw.chance(0.03) else family.text


def _child(
    making: Making, mother: Person, family: Family, home: Timeline[Residence], birth_day: int
) -> Sketch:
    return Sketch(
        sex="M" if making.draw.chance(0.51) else "F",
        birth_day=birth_day,
        surnames=((0, family.text),),
        residences=home,
        culture=family.culture,
        native_family=family.native,
        mothers_maiden=mother.maiden,
        guardian=lend(mother),
    )


def _name(making: Making, child: Sketch, heir_of: Person | None) -> None:
    if heir_of is not None and child.sex == heir_of.sex:
        child.called = Called(heir_of.given, heir_of.native_given)
        child.middle = heir_of.middle
        child.suffix = _GENERATIONS[heir_of.suffix]
    else:
        child.called = different(making.draw, child, {person.given for person in making.people})


def _grow_up(draw: Draw, child: Sketch) -> None:
    """Grown children leave home, daughters may marry into another family."""
    grown = child.birth_day + int((18 + draw.random() * 10) * YEAR)
    if grown > CLOSING:
        return
    child.guardian = None
    if draw.chance(0.55):
        near = at(child.residences, grown).city if draw.chance(0.6) else None
        child.residences = leaving(child.residences, draw_residence(draw, near), grown)
        if child.sex == "F" and draw.chance(0.4):
            child.surnames = (*child.surnames, (grown, draw_family(draw).text))


def _second_twin(draw: Draw, elder: Sketch, person: Person) -> Sketch:
    twin = Sketch(
        sex=elder.sex if draw.chance(0.66) else ("F" if elder.sex == "M" else "M"),
        birth_day=elder.birth_day,
        surnames=elder.surnames[:1],
        residences=elder.residences,
        culture=elder.culture,
        native_family=elder.native_family,
        twin=person.slot,
        order="2",
        mothers_maiden=elder.mothers_maiden,
        guardian=elder.guardian,
    )
    twin.called = twin_called(draw, person.given, twin)
    return twin


def twin_called(draw: Draw, elder: str, twin: Sketch) -> Called:
    year = date.fromordinal(twin.birth_day).year
    if draw.chance(0.35):
        return draw_alike(draw, elder, twin.sex, year, twin.culture)
    return different(draw, twin, {elder})


def different(draw: Draw, sketch: Sketch, taken: set[str]) -> Called:
    """A name nobody in the household bears yet (after a few tries any will do)."""
    year = date.fromordinal(sketch.birth_day).year
    called = draw_given(draw, sketch.sex, year, sketch.culture)
    for _ in range(8):
        if called.text not in taken:
            break
        called = draw_given(draw, sketch.sex, year, sketch.culture)
    return called
