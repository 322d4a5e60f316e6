"""Decisions and results that contradict each other at the same moment, at two instances."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from typing import Any

import httpx
import psycopg

from tests.chaos.cluster import Cluster
from tests.chaos.facts import Report, check_history, deadlocks
from tests.chaos.ide import SurvivingIde, http_client

CALLS_A_ROUND = 20
SESSIONS = 4
WON = {"approve": "approved", "reject": "rejected"}


async def race(db_url: str, count: int, seed: int) -> Report:
    """Decide `count` calls several times at once: each has one outcome, each round one continuation."""
    async with Cluster(db_url, 2, seed, max_messages=1_000_000) as cluster, http_client() as client:
        ides = [SurvivingIde(cluster, client, f"race-{seed}-{n}", seed * 1000 + n) for n in range(SESSIONS)]
        rounds = -(-count // CALLS_A_ROUND // SESSIONS)
        outcomes = sum(await asyncio.gather(*(_race_in(db_url, ide, rounds) for ide in ides)), Counter[str]())
    raced = rounds * SESSIONS * CALLS_A_ROUND
    assert outcomes["decided"] == raced, outcomes
    figures = {"calls raced": raced, "rounds": rounds * SESSIONS, **dict(sorted(outcomes.items()))}
    return Report(
        "Decision and result races", seed, {**figures, "calls with two outcomes": 0, "second continuations": 0}
    )


async def _race_in(db_url: str, ide: SurvivingIde, rounds: int) -> Counter[str]:
    outcomes: Counter[str] = Counter()
    async with await psycopg.AsyncConnection.connect(db_url, autocommit=True) as connection:
        for number in range(rounds):
            ids = [f"r{number}-{index}" for index in range(CALLS_A_ROUND)]
            calls = [{"tool": "write_file", "args": {"path": f"{i}.py", "content": ""}, "id": i} for i in ids]
            replies = [{"tools": calls}, {"text": f"Round {number} is over."}]
            await ide.ask(connection, f"#script\n{json.dumps(replies)}\nRound {number}.")
            assert await ide.settled(connection) == "paused"
            for call_id in ids:
                outcomes += await _race_for(ide, connection, call_id)
            assert await ide.settled(connection) == "completed"
            history = await check_history(connection, ide.session_id)
            answers = sum(content == f"Round {number} is over." for _, content in history)
            assert answers == 1, f"{ide.session_id}: {answers} continuations of round {number}"
            query = "select attempt from runs where session_id = %s order by created_at desc limit 1"
            row = await (await connection.execute(query, (ide.session_id,))).fetchone()
            assert row == (2,), f"{ide.session_id}: round {number} ended in attempt {row}"
        assert await deadlocks(connection) == 0
    return outcomes


async def _race_for(ide: SurvivingIde, connection: psycopg.AsyncConnection[Any], call_id: str) -> Counter[str]:
    """Approve, reject and answer one call at once, each perhaps twice; then send its result until it is settled."""
    messages: list[dict[str, Any]] = [
        {"type": "hitl_decision", "call_id": call_id, "decision": "approve"},
        {"type": "hitl_decision", "call_id": call_id, "decision": "reject"},
        {"type": "tool_result", "call_id": call_id, "result": "ok"},
    ]
    racing = ide.random.choices(messages, k=ide.random.randint(2, 4))
    replies = await asyncio.gather(*(_post(ide, message) for message in racing))
    query = "select state, decision from tool_calls where session_id = %s and call_id = %s"
    row = await (await connection.execute(query, (ide.session_id, call_id))).fetchone()
    assert row is not None
    state, decision = row
    for message, (status, chunk) in zip(racing, replies, strict=True):
        told = f"{ide.session_id} {call_id}: {message} got {status} {chunk}, the row says {row}"
        if "decision" in message:
            assert (status == 200) == (message["decision"] == decision), told
        else:
            assert status == 200, told
    audit = "select count(*) from audit_log where session_id = %s and call_id = %s and event like 'approval_%%'"
    decided = await (await connection.execute(audit, (ide.session_id, call_id))).fetchone()
    assert decided == (1,), f"{call_id}: decided {decided} times"
    if state == "approved":
        results = await asyncio.gather(*(_post(ide, messages[2]) for _ in range(2)))
        late = [chunk for _, chunk in results if (chunk.get("metadata") or {}).get("status") == "already_settled"]
        assert len(late) == 1, f"{call_id}: {results}"
    return Counter({"decided": 1, f"outcome {decision}": 1, "requests": len(racing)})


async def _post(ide: SurvivingIde, message: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    """Send one message: the status and the first chunk of the answer."""
    while True:
        try:
            status, events = await ide.post(message)
        except httpx.TransportError:
            continue
        return status, events[0][1] if events else {}
