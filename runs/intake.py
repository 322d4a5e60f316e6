"""What a user message or switch means for its session, decided and claimed in one transaction (S1-S3, S13-S18)."""

from __future__ import annotations

import uuid
from dataclasses import replace

from agents.roster import agents_of
from agents.thread.decision_words import decision_word
from errors import AgentUnknown, SessionUnknown
from runs import supersede, thread
from runs.decisions import decide_plan
from runs.drive.claim import Claim, Ticket, begin, claim_in_turn, reply, resume_turn, start_turn
from runs.engine import Engine
from storage import audit, calls, messages, runs, sessions
from storage.audit import AuditEntry
from storage.calls import CallRecord
from storage.database import Transaction
from storage.messages import MessageRecord
from storage.runs import Run
from storage.sessions import Session
from wire.protocol import AgentSwitched, Chunk, SessionInfo, SwitchAgent, UserMessage, error_chunk, quoted

TITLE_CHARS = 500


async def take_user_message(
    engine: Engine, session_id: str | None, owner: str, message: UserMessage, version: int
) -> Ticket:
    """Accept a user's message; returns when it is stored and its run, if it needs one, is claimed."""
    check_agent(engine, message.agent_type)
    entry = _Entry(engine, session_id or str(uuid.uuid4()), owner, message, version)
    return await begin(engine, await claim_in_turn(engine, entry.session_id, entry.claim))


async def take_switch(engine: Engine, session_id: str, owner: str, message: SwitchAgent, version: int) -> Ticket:
    """Accept a switch of agents, with or without a message for the new one (S14)."""
    check_agent(engine, message.agent_type)

    async def claim(tx: Transaction) -> Claim | None:
        return await _claim_switch(engine, tx, session_id, owner, message, version)

    return await begin(engine, await claim_in_turn(engine, session_id, claim))


def check_agent(engine: Engine, agent_type: str | None) -> None:
    """Raise AgentUnknown for an agent that this mode does not have."""
    allowed = {agent.name for agent in agents_of(multi_agent=engine.settings.multi_agent_mode)}
    if agent_type is not None and agent_type not in allowed:
        raise AgentUnknown(f"Invalid agent_type: {quoted(agent_type)}")


class _Entry:
    """One user message on its way into its session."""

    def __init__(self, engine: Engine, session_id: str, owner: str, message: UserMessage, version: int) -> None:
        self.engine = engine
        self.session_id = session_id
        self.owner = owner
        self.message = message
        self.version = version
        self.record = MessageRecord(thread.user_message_id(), "user", message.content or "")
        self.chunks: list[Chunk] = []
        """What is shown before the run speaks; kept over a wait, because the session is created once."""

    async def claim(self, tx: Transaction) -> Claim | None:
        """Decide what the message means; None while the session is busy."""
        session = await self._enter(tx)
        active = await runs.active(tx, session.id)
        if active is not None and active.status == "running":
            return None
        declared = self.message.environment
        environment = declared.model_dump(exclude_none=True) if declared else None
        title = None if session.message_count else _title(self.record.content)
        await sessions.touch(tx, session.id, title=title, environment=environment)
        open_records = await calls.open_calls(tx, session.id)
        is_plain = self.message.agent_type in (None, session.current_agent)
        if is_plain and active is not None and len(open_records) == 1:
            answer = await self._answer(tx, session, active, open_records[0])
            if answer is not None:
                return answer
        settings = self.engine.settings
        if session.message_count >= settings.max_messages:
            sentence = f"This session has reached its limit of {settings.max_messages} messages; start a new one."
            return await reply(tx, session, [error_chunk("limit_reached", sentence, limit="max_messages")], "failed")
        await leave_round(tx, session, active)
        return await self._start(tx, session)

    async def _enter(self, tx: Transaction) -> Session:
        """Hold the session, creating an unknown one and bringing a swept one back (sections 3 and 10)."""
        session = await sessions.find_any(tx, self.session_id, lock=True)
        if session is None:
            if await sessions.create(tx, self.session_id, self.owner):
                self.chunks = [SessionInfo(session_id=self.session_id)]
            session = await sessions.find_any(tx, self.session_id, lock=True)
        is_deleted = session is not None and session.deleted_at is not None and session.swept_at is None
        if session is None or session.owner != self.owner or is_deleted:
            raise SessionUnknown.named(self.session_id)
        return session

    async def _answer(self, tx: Transaction, session: Session, active: Run, waiting: CallRecord) -> Claim | None:
        """Take the message as the answer to what is waited for: a question, or by one word a plan (S18, S24)."""
        if waiting.kind in ("question", "switch"):
            told = {"content": self.record.content, "message_id": self.record.id}
            await calls.record_result(tx, waiting, told, None)
            answered = replace(waiting, result=told)
            await messages.append(tx, session.id, [thread.tool_record(answered), self.record], run_id=active.id)
            return await resume_turn(self.engine, tx, session, active, self.version)
        word = decision_word(self.record.content)
        if waiting.kind != "plan_review" or word is None:
            return None
        await messages.append(tx, session.id, [self.record], run_id=active.id)
        confirmed = await decide_plan(tx, waiting, word, None, via="message")
        return await resume_turn(self.engine, tx, session, active, self.version, [confirmed])

    async def _start(self, tx: Transaction, before: Session) -> Claim | None:
        """Begin a new turn with the current agent, or with the one that the message names (S3)."""
        session = await sessions.find_any(tx, before.id)
        assert session is not None, "the session is held"
        agent, chosen_by, previous = session.current_agent, session.agent_chosen_by, "orchestrator"
        wanted = self.message.agent_type
        chunks = list(self.chunks)
        if wanted == "orchestrator":
            agent, chosen_by, previous = "orchestrator", "router", session.current_agent
        elif wanted is not None and wanted != session.current_agent:
            agent, chosen_by = wanted, "user"
            is_fresh = session.message_count == 0
            if not is_fresh and session.switch_count >= self.engine.settings.max_switches:
                return await reply(tx, session, [too_many_switches(self.engine)], "failed")
            switch = switched(session.current_agent, wanted, "User requested")
            await note_switch(tx, session, switch, chosen_by="user", is_counted=not is_fresh)
            chunks += [] if is_fresh else [switch]
        return await start_turn(
            self.engine,
            tx,
            session,
            self.record,
            agent=agent,
            chosen_by=chosen_by,
            previous_agent=previous,
            version=self.version,
            chunks=chunks,
        )


async def leave_round(tx: Transaction, session: Session, active: Run | None) -> None:
    """Settle what is open and end the paused run: what comes is handled afresh (S13)."""
    if active is not None:
        await supersede.end_open_round(tx, session.id, "message")
        await runs.end_paused(tx, session.id, "cancelled")


def switched(from_agent: str, to_agent: str, reason: str, *, is_final: bool = False) -> AgentSwitched:
    """The chunk of a switch that the user asked for."""
    metadata = {
        "from_agent": from_agent,
        "to_agent": to_agent,
        "reason": reason,
        "confidence": "high",
        "classification_method": "explicit",
    }
    return AgentSwitched(content=f"Switched to {to_agent} agent", is_final=is_final, metadata=metadata)


async def note_switch(
    tx: Transaction, session: Session, switch: AgentSwitched, *, chosen_by: str, is_counted: bool = True
) -> None:
    """Make the switch true; the start with a chosen agent is no switch."""
    agent = switch.metadata["to_agent"]
    await sessions.set_agent(tx, session.id, agent, chosen_by, switches=int(is_counted))
    if is_counted:
        entry = AuditEntry("agent_switched", actor="user", agent=agent, details=dict(switch.metadata))
        await audit.append(tx, session.id, [entry])


def too_many_switches(engine: Engine) -> Chunk:
    """The refusal of a switch beyond MAX_SWITCHES (section 10)."""
    sentence = f"This session has reached its limit of {engine.settings.max_switches} switches."
    return error_chunk("limit_reached", sentence, limit="max_switches")


async def _claim_switch(
    engine: Engine, tx: Transaction, session_id: str, owner: str, message: SwitchAgent, version: int
) -> Claim | None:
    session = await sessions.find(tx, session_id, owner, lock=True)
    active = await runs.active(tx, session_id)
    if active is not None and active.status == "running":
        return None
    if session.switch_count >= engine.settings.max_switches:
        return await reply(tx, session, [too_many_switches(engine)], "failed")
    await leave_round(tx, session, active)
    agent, content = message.agent_type or "", message.content or ""
    has_content = bool(content.strip())
    reason = message.reason or "User requested agent switch"
    switch = switched(session.current_agent, agent, reason, is_final=not has_content)
    chosen_by = "router" if agent == "orchestrator" else "user"
    await note_switch(tx, session, switch, chosen_by=chosen_by)
    if not has_content:
        return await reply(tx, session, [switch], "completed")
    await sessions.touch(tx, session_id, title=None if session.message_count else _title(content))
    return await start_turn(
        engine,
        tx,
        session,
        MessageRecord(thread.user_message_id(), "user", content),
        agent=agent,
        chosen_by=chosen_by,
        previous_agent="orchestrator",
        version=version,
        chunks=[switch],
    )


def _title(content: str) -> str:
    return content.strip().splitlines()[0].strip()[:TITLE_CHARS]
