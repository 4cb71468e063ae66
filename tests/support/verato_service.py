"""A service whose provider is a simulated Verato, and registrations as a client sends them."""

from __future__ import annotations

from secrets import token_hex
from typing import Any

from bench.daemons import Mongod
from tests.support.api import Api
from tests.support.verato import SOURCE, Verato
from tests.support.verato_client import credentials

IMPATIENT = {"VERATO_TIMEOUT_READ": "1", "VERATO_TIMEOUT_TOTAL": "4"}
"""For a Verato that gives no answer."""


def settings(verato: Verato, **more: str) -> dict[str, str]:
    """What the simulator's user sets, with all the time that a busy machine may need."""
    given = credentials(verato)
    return {
        "MPI_PROVIDER": "verato",
        "VERATO_ENDPOINT": verato.endpoint,
        "VERATO_USERNAME": str(given.username),
        "VERATO_PASSWORD_FILE": str(given.password_file),
        "VERATO_CLIENT_CERT_FILE": str(given.client_cert),
        "VERATO_CLIENT_KEY_FILE": str(given.client_key),
        "VERATO_CA_FILE": str(given.ca),
        "VERATO_SOURCE_MAP": '{"HOSP-A": "HOSP-A", "CLINIC": "HOSP-B"}',
        "VERATO_TIMEOUT_READ": "20",
        "VERATO_TIMEOUT_TOTAL": "30",
        "VERATO_MAX_TPS": "5000",
        "VERATO_RAMP_PER_MIN": "1000000000",
        **more,
    }


def on_mongodb(mongod: Mongod) -> dict[str, str]:
    """An index of its own in MongoDB."""
    return {
        "MPI_STORE": "mongodb",
        "MONGODB_URI": mongod.uri,
        "MPI_DB": f"verato_{token_hex(4)}",
        "MPI_HMAC_KEY": token_hex(32),
    }


def body(row: dict[str, str], source_id: str | None = None, source: str = SOURCE) -> dict[str, Any]:
    patient = {
        k: v for k, v in row.items() if v and k not in {"source", "source_id", "recorded_at"}
    }
    ids = {} if source_id is None else {"source": source, "source_id": source_id}
    recorded = {"recorded_at": row["recorded_at"]} if row.get("recorded_at") else {}
    return {"patient_data": patient, **ids, **recorded}


async def match(api: Api, row: dict[str, str], source_id: str | None = None, **more: str) -> Any:
    answer = await api.client.post("/mpi/match", json=body(row, source_id, **more))
    assert answer.status_code == 200, answer.text
    return answer.json()
