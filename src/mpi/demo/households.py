"""Households: who lives together, who is related, and who is easily taken for whom."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date

from mpi.demo.children import add_children, different, twin_called
from mpi.demo.draw import HOUSEHOLD, Draw, Weighted
from mpi.demo.making import (
    YEAR,
    Making,
    Sketch,
    adult_birth_day,
    birth_day_aged,
    draw_home,
    joining,
    lend,
)
from mpi.demo.names import HISPANIC, Called, Family, draw_family
from mpi.demo.people import CLOSING, OPENING, Household, Person, Timeline, relate
from mpi.demo.places import Residence, draw_residence
from mpi.demo.tables import cities

_NAMESAKES = 0.004
_REMEMBERED = date(1980, 1, 1).toordinal()


@dataclass(frozen=True, slots=True)
class Couple:
    """Two people and the home they share. ``family`` is the first one's."""

    first: Person
    second: Person
    family: Family
    home: Timeline[Residence]


def build_household(seed: int, index: int, mean_registrations: float) -> tuple[Household, Draw]:
    """Household ``index`` of the population ``seed``, whatever others were built before, and
    the rest of its stream of chance.

    Household 0 is John Smith, born 1980-01-01, alone.
    """
    making = Making(seed, index, mean_registrations, Draw.of(seed, index, HOUSEHOLD))
    if index == 0:
        _john_smith(making)
    else:
        _KINDS.draw(making.draw)(making)
    return Household(tuple(making.people), tuple(making.relations)), making.draw


def _john_smith(making: Making) -> None:
    draw = making.draw
    city = cities().draw(draw)
    home = Residence(
        "123", ("", ""), "Main", ("Street", "St"), "", city, city.zips[0], "1234", landline=""
    )
    making.add(
        Sketch(
            sex="M",
            birth_day=_REMEMBERED,
            surnames=((0, "Smith"),),
            residences=((0, home),),
            called=Called("John"),
            middle="Robert",
            registrations=2,
        )
    )


def _solo(making: Making) -> None:
    draw = making.draw
    if making.index > 1 and draw.chance(_NAMESAKES):
        _namesake(making)
        return
    sketch = _single(draw, draw_home(draw), adult_birth_day(draw), draw_family(draw))
    if sketch.sex == "F" and draw.chance(0.2):
        sketch.surnames = _divorced(draw, sketch.surnames)
    making.add(sketch)


def _single(draw: Draw, home: Timeline[Residence], birth_day: int, family: Family) -> Sketch:
    sex = "M" if draw.chance(0.49) else "F"
    suffix = draw.pick(("Jr", "Jr", "Jr", "II", "III")) if sex == "M" and draw.chance(0.02) else ""
    return Sketch(
        sex=sex,
        birth_day=birth_day,
        surnames=((0, family.text),),
        residences=home,
        culture=family.culture,
        native_family=family.native,
        suffix=suffix,
    )


def _divorced(draw: Draw, maiden: Timeline[str]) -> Timeline[str]:
    """Married under another name before the files open; takes the maiden name up again."""
    name = maiden[0][1]
    return ((0, name), (1, draw_family(draw).text), (draw.between(OPENING, CLOSING), name))


def _namesake(making: Making) -> None:
    """Someone elsewhere with the name and birthday of a person of the household before."""
    draw = making.draw
    before, _ = build_household(making.seed, making.index - 1, making.mean_registrations)
    earlier = before.people[0]
    person = making.add(
        Sketch(
            sex=earlier.sex,
            birth_day=earlier.birth_day,
            surnames=((0, earlier.surnames[-1][1]),),
            residences=draw_home(draw),
            called=Called(earlier.given),
            middle=earlier.middle if draw.chance(0.2) else None,
            tags=("namesake",),
        )
    )
    making.relations.append(relate(earlier.entity_id, person.entity_id, "namesake"))


def _couple(making: Making) -> None:
    _pair(making, adult_birth_day(making.draw), draw_family(making.draw), "")


def _pair(making: Making, birth_day: int, family: Family, suffix: str) -> Couple:
    """Partners; the second may take the first one's name on a wedding day, and move in."""
    draw, home = making.draw, draw_home(making.draw)
    first_sex = "M" if draw.chance(0.98) else "F"
    second_sex = "F" if draw.chance(0.98) else first_sex
    own = draw_family(draw)
    other_birth = min(birth_day + int((draw.random() * 9 - 3) * YEAR), CLOSING - int(18 * YEAR))
    wedding = max(birth_day, other_birth) + int((20 + draw.random() * 14) * YEAR)
    surnames = _after_wedding(draw, own, family, wedding)
    in_window = wedding > OPENING
    first = making.add(
        Sketch(
            sex=first_sex,
            birth_day=birth_day,
            surnames=((0, family.text),),
            residences=home,
            culture=family.culture,
            native_family=family.native,
            suffix=suffix,
        )
    )
    second = making.add(
        Sketch(
            sex=second_sex,
            birth_day=other_birth,
            surnames=surnames,
            residences=joining(draw_residence(draw), home, wedding) if in_window else home,
            culture=own.culture,
            partner=lend(first),
        )
    )
    making.relate(first, second, "spouse")
    return Couple(first, second, family, home)


def _after_wedding(draw: Draw, own: Family, partner: Family, day: int) -> Timeline[str]:
    luck = draw.random()
    if day > CLOSING or luck < (0.5 if own.culture == HISPANIC else 0.2):
        return ((0, own.text),)
    simple = " " not in own.text + partner.text and "-" not in own.text + partner.text
    married = f"{own.text}-{partner.text}" if simple and luck > 0.92 else partner.text
    return ((0, own.text), (max(day, 1), married))


def _family(making: Making) -> None:
    draw = making.draw
    named_after = draw.chance(0.07)
    suffix = draw.pick(("", "", "Sr", "Jr")) if named_after else ""
    couple = _pair(making, birth_day_aged(draw, 23, 56), draw_family(draw), suffix)
    add_children(
        making, couple.second, couple.first, couple.family, couple.home, named_after=named_after
    )


def _single_parent(making: Making) -> None:
    draw, family, home = making.draw, draw_family(making.draw), draw_home(making.draw)
    sketch = _single(draw, home, birth_day_aged(draw, 20, 52), family)
    sketch.sex, sketch.suffix = ("F", "") if draw.chance(0.85) else ("M", "")
    parent = making.add(sketch)
    childs = family if draw.chance(0.65) else draw_family(draw)
    add_children(making, parent, None, childs, home, named_after=False)


def _three_generations(making: Making) -> None:
    """A grandparent lives with the family of a grown child who bears the same surname."""
    draw = making.draw
    named_after = draw.chance(0.2)
    parent_birth = birth_day_aged(draw, 24, 50)
    couple = _pair(making, parent_birth, draw_family(draw), "Jr" if named_after else "")
    elder_birth = parent_birth - int((20 + draw.random() * 18) * YEAR)
    elder = _single(draw, couple.home, elder_birth, couple.family)
    elder.suffix = ""
    if named_after:
        elder.sex, elder.suffix = couple.first.sex, draw.pick(("Sr", ""))
        elder.called = Called(couple.first.given, couple.first.native_given)
        elder.middle = couple.first.middle
    grandparent = making.add(elder)
    making.relate(grandparent, couple.first, "jr" if named_after else "parent")
    add_children(
        making, couple.second, couple.first, couple.family, couple.home, named_after=named_after
    )


def _brothers_and_sisters(making: Making) -> None:
    """Grown siblings under one roof, now and then twins."""
    draw, family, home = making.draw, draw_family(making.draw), draw_home(making.draw)
    birth_day = birth_day_aged(draw, 19, 75)
    twins = draw.chance(0.15)
    sketch = _single(draw, home, birth_day, family)
    sketch.order = "1" if twins else ""
    elder = making.add(sketch)
    if twins:
        twin = _single(draw, home, birth_day, family)
        twin.twin, twin.order = elder.slot, "2"
        twin.called = twin_called(draw, elder.given, twin)
        making.relate(elder, making.add(twin), "twin")
        return
    younger_birth = birth_day + draw.between(400, 3000)
    younger = _single(draw, home, min(younger_birth, CLOSING - int(18 * YEAR)), family)
    younger.called = different(draw, younger, {elder.given})
    making.relate(elder, making.add(younger), "sibling")


_KINDS: Weighted[Callable[[Making], None]] = Weighted(
    [
        (_solo, 27),
        (_couple, 27),
        (_family, 27),
        (_single_parent, 11),
        (_three_generations, 5),
        (_brothers_and_sisters, 3),
    ]
)
