"""What others change while a case is looked at is a conflict that is tried again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mpi.domain.identity import EventKind, IdentityChange, StoredRecord
from mpi.domain.record import RecordKey
from tests.support.api import Api, serving
from tests.support.hybrid import MADE, PROBABLE, hybrid, reconcile
from tests.support.verato import SOURCE, Verato
from tests.support.verato_service import match


async def owner(api: Api, source_id: str) -> str | None:
    record = await api.parts.store.record(RecordKey(SOURCE, source_id))
    return None if record is None else record.mpi_id


def merging_meanwhile(
    api: Api, monkeypatch: pytest.MonkeyPatch, survivor: str, retire: str
) -> list[str]:
    """Once, after somebody has read who shares a link and before anything else, these persons become one."""
    read, merged = api.parts.store.candidates, list[str]()

    async def reading(keys: Any) -> Any:
        around = await read(keys)
        if len(keys) == 1 and around.persons and not merged:
            merged.append(retire)
            await api.parts.stewardship.merge(survivor, retire, reason="known", actor="ada")
        return around

    monkeypatch.setattr(api.parts.store, "candidates", reading)
    return merged


@pytest.mark.parametrize("late", [False, True], ids=["registered", "reconciled"])
async def test_who_is_merged_while_being_joined_is_joined_as_whom_they_became(
    verato: Verato, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, late: bool
) -> None:
    async with serving(tmp_path, **hybrid(verato, "verato_first")) as api:
        verato.plan("503", times=None)
        first = await match(api, PROBABLE[0] if late else PROBABLE[0] | {"phone": ""}, "1")
        verato.clear()
        second = await match(api, PROBABLE[1], "2")
        third = await match(api, MADE[0], "3")
        assert len({each["mpi_id"] for each in (first, second, third)}) == 3
        merged = merging_meanwhile(api, monkeypatch, third["mpi_id"], second["mpi_id"])
        if late:
            await reconcile(api)
            assert await api.parts.store.waiting() == ()
        else:
            await match(api, PROBABLE[0], "1")
        assert merged
        assert {await owner(api, number) for number in "123"} == {first["mpi_id"]}
        text = (await api.client.get("/metrics")).text
        assert "mpi_conflicts_total 0.0" not in text


async def test_what_changes_while_it_is_told_along_is_not_written_back(
    verato: Verato, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving(tmp_path, **hybrid(verato)) as api:
        await match(api, PROBABLE[0], "1")
        await match(api, {"last_name": "Doe", "first_name": "John", "sex": PROBABLE[1]["sex"]}, "2")
        store, key = api.parts.store, RecordKey(SOURCE, "1")
        commit, moved = store.commit, list[StoredRecord]()

        async def committing(*changes: IdentityChange) -> Any:
            if len(changes) > 1 and not moved:
                before = await store.record(key)
                assert before is not None
                phones = ("+13025550199",)
                moved.append(
                    replace(before, demographics=replace(before.demographics, phones=phones))
                )
                await commit(
                    IdentityChange(
                        EventKind.UPDATED, before.received_at, "somebody else", record=moved[0],
                        guard_keys=before.blocking_keys,
                    )
                )  # fmt: skip
            return await commit(*changes)

        monkeypatch.setattr(store, "commit", committing)
        verato.plan("slow:1", "postIdentity")  # of who is told along
        verato.plan("overlay", "postIdentity")
        overlay = await match(api, PROBABLE[1], "2")
        assert overlay["task_id"]
        after = await store.record(key)
        assert after is not None
        assert [record.demographics for record in moved] == [after.demographics]
        assert "told" in (await store.record_events(key))[-1].detail
