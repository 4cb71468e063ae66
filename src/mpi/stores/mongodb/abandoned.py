"""Ending the transactions of processes that died.

A process that is killed within a transaction leaves it open, and with it the head taken: MongoDB would keep every
other writer out for a minute (``transactionLifetimeLimitSeconds``). Ours never rest for long, so one that does
is ended by whoever waits for it. Should its process live after all, it begins its transaction anew.
"""

from __future__ import annotations

from pymongo import AsyncMongoClient
from pymongo.errors import PyMongoError

from mpi.stores.mongodb.schema import Document

APP_NAME = "mpi"
RESTED = 2.0
"""Seconds without a statement after which a transaction counts as abandoned."""


async def end_abandoned(client: AsyncMongoClient[Document]) -> None:
    """End the transactions of ours that rest. Takes no right that a user does not have over its own sessions."""
    pipeline: list[Document] = [
        {"$currentOp": {"allUsers": False, "idleSessions": True}},
        {
            "$match": {
                "type": "idleSession",
                "appName": APP_NAME,
                "transaction.timeInactiveMicros": {"$gt": RESTED * 1e6},
            }
        },
        {"$project": {"lsid": 1}},
    ]
    try:
        async with await client.admin.aggregate(pipeline) as resting:
            sessions = [{"id": document["lsid"]["id"]} async for document in resting]
        if sessions:
            await client.admin.command("killSessions", sessions)
    except PyMongoError:
        # Only a help: whoever waits finds out by its next attempt, or says at its deadline what is wrong.
        return
