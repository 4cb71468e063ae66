"""A synthetic population: registrations in arrival order, with their truth.

Every household is a function of the seed and its number alone, so a smaller population is a part
of a larger one of the same seed, whatever is read in whatever pieces.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from mpi.demo.draw import ARRIVAL, Draw
from mpi.demo.households import build_household
from mpi.demo.noise import CLEAN, NoiseProfile, profile_named
from mpi.demo.people import Household, Relation
from mpi.demo.registrations import Row, Truth, registrations
from mpi.errors import InvalidInput

MAX_ROWS = 20_000_000
MAX_SEED = 2**63 - 1
# Rows waiting to arrive: registrations of one person lie this far apart on the average.
_WAITING = 20_000

Registration = tuple[Row, Truth]


class Population:
    """``rows`` registrations of made-up people, the same for the same arguments, for ever.

    The first row is John Smith, born 1980-01-01, whatever the seed and the profile. Persons
    register ``mean_registrations`` (1 to 4) times on the average, at most 8 times.

    :raises InvalidInput: when an argument is out of its range.
    """

    def __init__(
        self,
        rows: int,
        seed: int = 1,
        profile: str | NoiseProfile = "normal",
        mean_registrations: float = 1.6,
    ) -> None:
        if not 1 <= rows <= MAX_ROWS:
            raise InvalidInput(f"rows must be from 1 to {MAX_ROWS}")
        if not 0 <= seed <= MAX_SEED:
            raise InvalidInput(f"seed must be from 0 to {MAX_SEED}")
        if not 1 <= mean_registrations <= 4:
            raise InvalidInput("mean_registrations must be from 1 to 4")
        self.count = rows
        self.seed = seed
        self.profile = profile_named(profile) if isinstance(profile, str) else profile
        self.mean_registrations = mean_registrations

    def __len__(self) -> int:
        return self.count

    def rows(self) -> Iterator[Registration]:
        """Registrations as they arrive: shuffled through a window, in bounded memory.

        A row has every column of ``registrations.COLUMNS``; an empty string is a missing value.
        """
        arrival = Draw.of(self.seed, 0, ARRIVAL)
        made = self._made()
        yield next(made)
        waiting: list[Registration] = []
        for registration in made:
            if len(waiting) < _WAITING:
                waiting.append(registration)
                continue
            place = arrival.below(_WAITING)
            arrived, waiting[place] = waiting[place], registration
            yield arrived
        while waiting:
            place = arrival.below(len(waiting))
            waiting[place], waiting[-1] = waiting[-1], waiting[place]
            yield waiting.pop()

    def related(self) -> Iterator[Relation]:
        """Pairs of registered people who are related or namesakes, and must stay apart.

        Strangers who share name and birthday by mere chance are not listed.
        """
        for household, taken, _ in self._households():
            left_out = set(_unregistered(household, taken))
            for relation in household.relations:
                if relation.entity_a not in left_out and relation.entity_b not in left_out:
                    yield relation

    def _households(self) -> Iterator[tuple[Household, int, Draw]]:
        """Each household with how many of its registrations are in (the last may be cut) and
        the chance that makes them."""
        remaining, index = self.count, 0
        while remaining:
            household, draw = build_household(self.seed, index, self.mean_registrations)
            taken = min(remaining, sum(p.registrations for p in household.people))
            yield household, taken, draw
            remaining -= taken
            index += 1

    def _made(self) -> Iterator[Registration]:
        for index, (household, taken, draw) in enumerate(self._households()):
            # The remembered John Smith must be found in any population, however noisy.
            profile = CLEAN if index == 0 else self.profile
            made = (r for p in household.people for r in registrations(p, draw, profile))
            yield from islice(made, taken)


def _unregistered(household: Household, taken: int) -> Iterator[str]:
    for person in household.people:
        if taken <= 0:
            yield person.entity_id
        taken -= person.registrations
