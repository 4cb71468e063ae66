"""Registrations are told to an outside provider before their turn to be enrolled: that may take long."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mpi.domain.record import Submission
from mpi.errors import MpiError
from mpi.ports import Provider
from mpi.service.preparation import Preparation, Prepared
from mpi.service.rows import BatchRow


async def introduced(
    rows: Sequence[BatchRow],
    prepare: Preparation,
    provider: Provider,
    enrolls: Callable[[Submission | Prepared], bool] = lambda _: True,
) -> list[BatchRow]:
    """The rows, those to enroll as the provider knows them or as its refusal. Raises ``ProviderUnavailable``.

    A row that came without ids is nobody's business elsewhere. One that was introduced before stays as it is.
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
