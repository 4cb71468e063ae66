"""However much changed elsewhere while nobody could listen, what is read at a time becomes little enough."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast

from mpi.domain.errand import Errand, ErrandKind, LeasedErrand
from mpi.errors import ProviderUnavailable
from mpi.ports.elsewhere import Changes, Counterpart
from mpi.service.following import Following
from mpi.stores.sqlite.store import open_store

NOON = datetime(2026, 7, 1, 12, tzinfo=UTC)
MOST = timedelta(hours=1)


class Talkative:
    """An index elsewhere that tells nothing of more than an hour at once. None that can be had is so busy."""

    name, untold = "ELSEWHERE", frozenset[str]()

    def __init__(self) -> None:
        self.told: list[tuple[datetime, datetime]] = []

    async def changes(self, since: datetime, until: datetime) -> Changes:
        if until - since > MOST:
            raise ProviderUnavailable("too much")
        self.told.append((since, until))
        return Changes({}, frozenset())


async def test_a_long_silence_is_caught_up_with(tmp_path: Path) -> None:
    elsewhere, until = Talkative(), NOON + timedelta(days=2)
    with closing(open_store(tmp_path / "index.sqlite3", b"fingerprint")) as store:
        minute, other = timedelta(minutes=1), cast("Counterpart", elsewhere)
        following = Following(store, store, other, lambda: until, minute, timedelta(0))
        mark, failed = NOON.isoformat(), 0
        for _ in range(300):
            errand = Errand(ErrandKind.LISTEN, mark=mark)
            try:
                again = await following.listen(LeasedErrand(errand, NOON, NOON, failed, None, 1, 1))
            except ProviderUnavailable:
                failed += 1
            else:
                mark, failed = again.mark, 0
            if mark == until.isoformat():
                break
    assert mark == until.isoformat()
    assert [end for _, end in elsewhere.told[:-1]] == [start for start, _ in elsewhere.told[1:]]
