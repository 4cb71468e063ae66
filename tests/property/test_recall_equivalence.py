"""What is answered from memory is what reading the body again would have answered, rejections included."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx2
import orjson
from hypothesis import given
from hypothesis import strategies as st

from tests.support.api import Api, serving

_OWN = ("request_id", "processing_time_ms", "served_from")
_JSON = {"content-type": "application/json"}

scalars = st.none() | st.booleans() | st.integers(-9, 99999) | st.sampled_from(["", " ", "A", "1"])
names = st.sampled_from(["John", "Smith", "UNKNOWN", "1980-01-01", "412-55-7813", "19901"])
fields = st.sampled_from(["ssn", "first_name", "last_name", "dob", "zip", "shoe_size", "names"])
patients = st.dictionaries(fields, names | scalars, max_size=4)
documents = st.fixed_dictionaries(
    {},
    optional={
        "patient_data": patients | scalars,
        "enroll": st.sampled_from([False, None]) | scalars,
        "explain": scalars,
        "source": scalars,
        "source_id": scalars,
        "recorded_at": scalars,
        "stranger": scalars,
    },
)
bodies = (documents | scalars).map(orjson.dumps) | st.binary(max_size=4)


def comparable(response: httpx2.Response) -> tuple[int, dict[str, Any]]:
    found = response.json()
    return response.status_code, {k: v for k, v in found.items() if k not in _OWN}


def test_a_body_sent_again_is_answered_alike_from_memory_or_not(tmp_path: Path) -> None:
    async def twice(cached: Api, plain: Api, body: bytes) -> None:
        first, again, true = [
            await api.client.post("/mpi/match", content=body, headers=_JSON)
            for api in (cached, cached, plain)
        ]
        assert comparable(first) == comparable(again) == comparable(true)

    with asyncio.Runner() as runner:
        settings = {"MPI_ENROLL": "never"}
        inside = serving(tmp_path, **settings)
        beside = serving(tmp_path, **settings, MPI_CACHE="")
        cached, plain = runner.run(inside.__aenter__()), runner.run(beside.__aenter__())

        @given(bodies.filter(lambda body: b'"enroll":true' not in body))
        def check(body: bytes) -> None:
            runner.run(twice(cached, plain, body))

        check()
        runner.run(beside.__aexit__(None, None, None))
        runner.run(inside.__aexit__(None, None, None))
