"""Making registrations block by block, on one core or on several: the result is the same."""

from __future__ import annotations

import itertools
import multiprocessing
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass

from mpi.demo.households import build_household
from mpi.demo.noise import CLEAN, NoiseProfile
from mpi.demo.people import Relation
from mpi.demo.registrations import Row, Truth, registrations

Registration = tuple[Row, Truth]

_HOUSEHOLDS = 100
# Blocks under way per worker: enough that none waits, few enough that memory stays bounded.
_AHEAD = 8


@dataclass(frozen=True, slots=True)
class Recipe:
    """All that a block depends on, besides its number."""

    seed: int
    profile: NoiseProfile
    mean_registrations: float


@dataclass(frozen=True, slots=True)
class Block:
    """Consecutive households: their registrations, in the order of ``entity_id``, and who in
    them is related to whom."""

    registrations: list[Registration]
    relations: list[Relation]

    def cut(self, count: int) -> Block:
        """The first ``count`` registrations, and the relations of people who have any."""
        kept = self.registrations[:count]
        last = kept[-1][1].entity_id
        return Block(kept, [r for r in self.relations if r.entity_b <= last])


def make_block(recipe: Recipe, number: int) -> Block:
    """Block ``number``, whatever blocks were made before."""
    block = Block([], [])
    for index in range(number * _HOUSEHOLDS, (number + 1) * _HOUSEHOLDS):
        household, draw = build_household(recipe.seed, index, recipe.mean_registrations)
        # The remembered John Smith must be found in any population, however noisy.
        profile = CLEAN if index == 0 else recipe.profile
        for person in household.people:
            block.registrations.extend(registrations(person, draw, profile))
        block.relations.extend(household.relations)
    return block


def make_blocks(recipe: Recipe, count: int, workers: int) -> Iterator[Block]:
    """Blocks with ``count`` registrations in all, made by ``workers`` processes."""
    for block in _endless(recipe, workers):
        if len(block.registrations) >= count:
            yield block.cut(count)
            return
        yield block
        count -= len(block.registrations)


def _endless(recipe: Recipe, workers: int) -> Iterator[Block]:
    if workers == 1:
        yield from (make_block(recipe, number) for number in itertools.count())
    # Spawned, not forked: the caller may have threads.
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
        numbers = itertools.count()
        under_way: deque[Future[Block]] = deque()
        try:
            while True:
                while len(under_way) < workers * _AHEAD:
                    under_way.append(pool.submit(make_block, recipe, next(numbers)))
                yield under_way.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)
