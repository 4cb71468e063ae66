"""Registrations are told to an outside provider before their turn to be enrolled: that may take long."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mpi.domain.record import Submission
from mpi.errors import MpiError
from mpi.ports import Provider
from mpi.service.preparation import Preparation, Prepared

Row = Submission | Prepared | MpiError


async def introduced(
    rows: Sequence[Row],
    prepare: Preparation,
    provider: Provider,
    enrolls: Callable[[Submission | Prepared], bool] = lambda _: True,
) -> list[Row]:
    """The rows, those to enroll as the provider knows them or as its refusal. Raises ``ProviderUnavailable``.

    A row that came without ids is nobody's business elsewhere.
    """
    found = list(rows)
    places, pairs = [], []
    for place, row in enumerate(rows):
        if not isinstance(row, MpiError) and row.key is not None and enrolls(row):
            places.append(place)
            pairs.append(prepare.record(row))
    records = await provider.introduce([record for record, _ in pairs])
    for place, (_, keys), record in zip(places, pairs, records, strict=True):
        found[place] = record if isinstance(record, MpiError) else Prepared(record, keys)
    return found
