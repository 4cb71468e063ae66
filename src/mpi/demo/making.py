"""Making people one at a time: age, death, surnames, homes, numbers, the ward's baby names."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date

from mpi.demo.draw import Draw, Weighted
from mpi.demo.names import GENERAL, Called, draw_given, unaccented
from mpi.demo.numbering import phone, ssn
from mpi.demo.people import CLOSING, OPENING, Lent, Person, Relation, Timeline, at, relate
from mpi.demo.places import Residence, draw_residence

SLOTS = 16
"""Slots per household: more than any household has members."""
MAX_REGISTRATIONS = 8
YEAR = 365.25

# Adults by age: (youngest, oldest), people in a hundred (US age pyramid, rounded).
ADULT_AGES: Weighted[tuple[int, int]] = Weighted(
    [
        ((18, 29), 21),
        ((30, 39), 17),
        ((40, 49), 16),
        ((50, 59), 16),
        ((60, 69), 15),
        ((70, 79), 10),
        ((80, 89), 4),
        ((90, 97), 1),
    ]
)
# Reserved domains (RFC 2606): nobody is written to by mistake.
_MAIL = ("mail.example.com", "post.example.com", "inbox.example.net", "letters.example.org")
_BABY = ("BABY {0}", "BABY{0}", "Baby {1}", "Newborn", "NEWBORN {0}", "Infant {1}", "B{0[0]}")


@dataclass(slots=True)
class Sketch:
    """What is decided of a person beforehand; the rest is drawn. ``twin`` is the elder twin's
    slot for the younger one; ``order`` is '1' or '2' for both."""

    sex: str
    birth_day: int
    surnames: Timeline[str]
    residences: Timeline[Residence]
    culture: str = GENERAL
    called: Called | None = None
    middle: str | None = None
    native_family: str = ""
    suffix: str = ""
    twin: int | None = None
    order: str = ""
    mothers_maiden: str = ""
    guardian: Lent | None = None
    partner: Lent | None = None
    registrations: int | None = None
    tags: tuple[str, ...] = ()


@dataclass(slots=True)
class Making:
    """A household being made: its chance, and what exists of it so far."""

    seed: int
    index: int
    mean_registrations: float
    draw: Draw
    people: list[Person] = field(default_factory=list)
    relations: list[Relation] = field(default_factory=list)

    def relate(self, one: Person, other: Person, relation: str) -> None:
        self.relations.append(relate(one.entity_id, other.entity_id, relation))

    def add(self, sketch: Sketch) -> Person:
        """Draw what the sketch leaves open and take the person into the household."""
        draw, slot = self.draw, self.index * SLOTS + len(self.people)
        year = date.fromordinal(sketch.birth_day).year
        called = sketch.called or draw_given(draw, sketch.sex, year, sketch.culture)
        baby_name = _baby_name(draw, sketch)
        person = Person(
            entity_id=f"E{self.index:09d}-{len(self.people):02d}",
            household_id=f"H{self.index:09d}",
            slot=slot,
            sex=sketch.sex,
            given=called.text,
            middle=self._middle(sketch, year),
            native_given=called.native,
            native_family=sketch.native_family if called.native else "",
            surnames=sketch.surnames,
            suffix=sketch.suffix,
            birth_day=sketch.birth_day,
            death_day=_death_day(draw, sketch.birth_day),
            ssn=self._ssn(sketch, slot),
            mobile=self._mobile(sketch, year),
            email=_email(draw, called.text, sketch, year),
            residences=sketch.residences,
            mothers_maiden=sketch.mothers_maiden,
            birth_order=sketch.order,
            baby_name=baby_name,
            renamed=not draw.chance(0.1),
            guardian=sketch.guardian,
            partner=sketch.partner,
            registrations=sketch.registrations or self._registrations(),
            tags=_tags(sketch, called, baby_name),
        )
        self.people.append(person)
        return person

    def _middle(self, sketch: Sketch, year: int) -> str:
        if sketch.middle is not None:
            return sketch.middle
        if not self.draw.chance(0.8):
            return ""
        return draw_given(self.draw, sketch.sex, year, sketch.culture).text

    def _ssn(self, sketch: Sketch, slot: int) -> str:
        if self.draw.chance(0.02 if sketch.culture == GENERAL else 0.12):
            return ""
        if sketch.twin is not None and self.draw.chance(0.6):
            return ssn(self.seed, sketch.twin, 1 + self.draw.below(2))
        return ssn(self.seed, slot)

    def _mobile(self, sketch: Sketch, year: int) -> str:
        if year > 2010 or not self.draw.chance(0.95 if year > 1950 else 0.6):
            return ""
        return phone(self.draw, sketch.residences[0][1].city)

    def _registrations(self) -> int:
        """One and as many again as luck has it: a geometric number, cut at the limit."""
        again = 1 - 1 / self.mean_registrations
        count = 1
        while count < MAX_REGISTRATIONS and self.draw.chance(again):
            count += 1
        return count


def adult_birth_day(draw: Draw) -> int:
    return birth_day_aged(draw, *ADULT_AGES.draw(draw))


def birth_day_aged(draw: Draw, youngest: int, oldest: int) -> int:
    """A birthday that makes the age at CLOSING lie in ``youngest`` to ``oldest`` years."""
    day = CLOSING - int(YEAR * (youngest + draw.random() * (oldest + 1 - youngest)))
    if draw.chance(0.004):  # who does not know the day says the first of January
        return date(date.fromordinal(day).year, 1, 1).toordinal()
    return day


def draw_home(draw: Draw) -> Timeline[Residence]:
    """Where a household lives; it may move once or twice, mostly within the city."""
    home = [(0, draw_residence(draw))]
    luck = draw.random()
    moves = 0 if luck < 0.6 else 1 if luck < 0.9 else 2
    for day in sorted(draw.between(OPENING, CLOSING) for _ in range(moves)):
        near = home[-1][1].city if draw.chance(0.7) else None
        home.append((day, draw_residence(draw, near)))
    return tuple(home)


def joining(own: Residence, home: Timeline[Residence], day: int) -> Timeline[Residence]:
    """Who lives at ``own`` until they move in at ``home`` on ``day``."""
    return ((0, own), (day, at(home, day)), *(entry for entry in home if entry[0] > day))


def leaving(home: Timeline[Residence], own: Residence, day: int) -> Timeline[Residence]:
    """Who lives at ``home`` until they get a place of their ``own`` on ``day``."""
    return (*(entry for entry in home if entry[0] < day), (day, own))


def lend(person: Person) -> Lent:
    return Lent(person.ssn, person.mobile, person.email, person.given)


def _death_day(draw: Draw, birth_day: int) -> int | None:
    age = (CLOSING - birth_day) / YEAR
    if age < 50 or not draw.chance(0.02 if age < 65 else 0.07 if age < 80 else 0.25):
        return None
    return draw.between(max(OPENING + 30, birth_day + int(45 * YEAR)), CLOSING)


def _email(draw: Draw, given: str, sketch: Sketch, year: int) -> str:
    if year > 2009 or not draw.chance(0.75 if year > 1955 else 0.35):
        return ""
    first, last = _plain(given), _plain(sketch.surnames[-1][1])
    style = draw.below(4)
    local = (f"{first}.{last}", f"{first[:1]}{last}", f"{first}{last}", f"{last}.{first}")[style]
    if style == 1 or draw.chance(0.6):
        local += str(year if draw.chance(0.3) else draw.below(1000))
    return f"{local}@{draw.pick(_MAIL)}"


def _plain(text: str) -> str:
    text = unaccented(text)
    return (text if text.isalpha() else "".join(filter(str.isalpha, text))).lower()


def _baby_name(draw: Draw, sketch: Sketch) -> str:
    if sketch.birth_day < OPENING or sketch.guardian is None or not draw.chance(0.25):
        return ""
    word = "BOY" if sketch.sex == "M" else "GIRL"
    name = draw.pick(_BABY).format(word, word.title())
    return f"{name} {'AB'[int(sketch.order) - 1]}" if sketch.order else name


def _tags(sketch: Sketch, called: Called, baby_name: str) -> tuple[str, ...]:
    tags = list(sketch.tags)
    if sketch.order:
        tags.append("twin")
    if sketch.suffix:
        tags.append("generation")
    if baby_name:
        tags.append("newborn")
    if sketch.surnames[-1][0] > OPENING:
        tags.append("renamed")
    if sketch.residences[-1][0] > OPENING:
        tags.append("moved")
    if called.native:
        tags.append("native_script")
    if not sketch.surnames[-1][1].isalpha():
        tags.append("compound_surname")
    return tuple(tags)
