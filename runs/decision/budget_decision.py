"""The user's answer to a question about a used-up budget: more of it, or the end of the turn."""

from __future__ import annotations

from dataclasses import replace

from agents.thread.decision_words import decision_word
from runs.decision.contract import Effects, Request, resumed, round_with
from settings import NANO
from storage.session_state import SessionState
from storage.tables.audit import AuditEntry
from storage.tables.calls import CallRecord
from storage.tables.spending import Allowance


def decide_budget(view: SessionState, request: Request, asked: CallRecord, content: str, now: str) -> Effects | None:
    """Let the turn go on, or end it; None for a message that is neither word."""
    word = decision_word(content)
    if word is None:
        return None
    settled = replace(
        asked,
        state="done",
        decision=word,
        decided_at=now,
        decided_by="user",
        result={"content": content, "message_id": request.message_id},
        settled_at=now,
    )
    budgets = asked.arguments["budgets"]
    entry = AuditEntry(
        "budget_decided",
        actor="user",
        agent=asked.agent,
        details={"decision": word, "budgets": budgets},
        run_id=asked.run_id,
        at=now,
    )
    allowances = tuple(
        Allowance(one["scope"], one["unit"], round((one["used"] + one["more"]) * (NANO if one["unit"] == "usd" else 1)))
        for one in budgets
        if word == "approve"
    )
    decided = Effects(calls=(settled,), allowances=allowances, audit=(entry,))
    return decided.then(resumed(request, round_with(view, settled)))
