"""A synthetic population: registrations in arrival order, with their truth.

Every household is a function of the seed and its number alone, so a smaller population is a part
of a larger one of the same seed, whatever is read in whatever pieces.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice

from mpi.demo.blocks import Block, Recipe, Registration, make_blocks
from mpi.demo.draw import ARRIVAL, Draw
from mpi.demo.noise import NoiseProfile, profile_named
from mpi.demo.people import Relation
from mpi.errors import InvalidInput

ROWS, SEED = 10_000, 1
"""The population that the demo loads, and that a simulator of Verato knows unless told otherwise."""

MAX_ROWS = 20_000_000
MAX_SEED = 2**63 - 1
# Rows waiting to arrive: registrations of one person lie this far apart on the average.
_WAITING = 20_000


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

    def rows(
        self, workers: int = 1, relate: Callable[[Relation], object] | None = None
    ) -> Iterator[Registration]:
        """Registrations as they arrive: shuffled through a window, in bounded memory.

        A row has every column of ``registrations.COLUMNS``; an empty string is a missing value.
        ``workers`` processes share the work and change nothing but its time. ``relate`` is told
        on the way what ``related`` tells.
        """
        made = self._made(workers, relate)
        yield next(made)
        yield from _shuffled(made, Draw.of(self.seed, 0, ARRIVAL))

    def related(self) -> Iterator[Relation]:
        """Pairs of registered people who are related or namesakes, and must stay apart.

        Strangers who share name and birthday by mere chance are not listed.
        """
        for block in self._blocks(1):
            yield from block.relations

    def _blocks(self, workers: int) -> Iterator[Block]:
        recipe = Recipe(self.seed, self.profile, self.mean_registrations)
        return make_blocks(recipe, self.count, workers)

    def _made(
        self, workers: int, relate: Callable[[Relation], object] | None
    ) -> Iterator[Registration]:
        for block in self._blocks(workers):
            if relate is not None:
                for relation in block.relations:
                    relate(relation)
            yield from block.registrations


def _shuffled(made: Iterator[Registration], chance: Draw) -> Iterator[Registration]:
    waiting = list(islice(made, _WAITING))
    for registration in made:
        place = chance.below(_WAITING)
        arrived, waiting[place] = waiting[place], registration
        yield arrived
    while waiting:
        place = chance.below(len(waiting))
        waiting[place], waiting[-1] = waiting[-1], waiting[place]
        yield waiting.pop()
