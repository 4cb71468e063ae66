"""The rows of a batch: answered one after the other, and no longer at a time than others can wait."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from time import perf_counter
from typing import Protocol

from mpi.domain.record import Submission
from mpi.errors import MpiError
from mpi.service.answers import MatchAnswer
from mpi.service.preparation import Prepared

BatchRow = Submission | Prepared | MpiError
RowAnswer = MatchAnswer | MpiError

LONGEST_GROUP_S = 0.25
"""Time for rows that become durable together: nobody else can write meanwhile."""


class Answering(Protocol):
    """Answers one row."""

    async def __call__(self, row: Submission | Prepared, /, *, explain: bool) -> MatchAnswer: ...


async def answer_rows(
    rows: Sequence[BatchRow], answering: Answering, *, explain: bool, seconds: float = math.inf
) -> list[RowAnswer]:
    """Answers to the rows in order: to the first of them when time is up, and to one at least.

    An error is the answer to its own row. Raises those that concern all rows, such as ``StoreUnavailable``.
    """
    answers: list[RowAnswer] = []
    until = perf_counter() + seconds
    for row in rows:
        answers.append(await _answer(row, answering, explain=explain))
        if perf_counter() >= until:
            break
    return answers


async def _answer(row: BatchRow, answering: Answering, *, explain: bool) -> RowAnswer:
    if isinstance(row, MpiError):
        return row
    await asyncio.sleep(0)  # a long batch lets other requests in
    try:
        return await answering(row, explain=explain)
    except MpiError as error:
        if error.retryable:
            raise
        return error
