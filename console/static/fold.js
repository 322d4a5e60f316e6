// The view of a session as one pure fold over its timeline: live, replay and any moment are the same function.
import { enter, leave, start } from "./path.js";

/**
 * @typedef {{seq: number, chunk?: object, message?: object}} Entry one event of the log, or a stored message
 * @typedef {{key: string, seq: number, kind: string}} Item one thing that is shown
 */

/** The view before anything has happened. */
export const EMPTY = Object.freeze({
  seq: 0,
  items: Object.freeze([]),
  calls: Object.freeze({}),
  text: "",
  textSeq: 0,
  agent: null,
  outcome: null,
  turn: 0,
  plan: null,
  usage: Object.freeze({ llm_calls: 0, prompt_tokens: 0, completion_tokens: 0, total_tokens: 0 }),
  path: start(),
});

const DECIDED = { approved: "approved", approved_with_edits: "approved", rejected: "rejected", result_recorded: "finished" };

/** Fold one entry into the view; gives a new view, the old one stays as it is. */
export function fold(state, entry) {
  const seq = Math.max(state.seq, entry.seq);
  return entry.message ? foldMessage({ ...state, seq }, entry) : foldChunk({ ...state, seq }, entry.seq, entry.chunk);
}

/** Fold many entries, oldest first. */
export function foldAll(entries, state = EMPTY) {
  return entries.reduce(fold, state);
}

function add(state, seq, kind, fields) {
  const key = fields.key ?? `${kind}-${seq}-${state.items.length}`;
  return { ...state, items: [...state.items, { ...fields, key, seq, kind, turn: state.turn }] };
}

/** What is open when a run goes on has been settled meanwhile: run, or passed over by a new message. */
function closeCalls(state, open) {
  const left = Object.entries(state.calls).filter(([, call]) => call.state === "waiting" || call.state === "approved");
  if (!left.length) return state;
  const calls = { ...state.calls };
  for (const [id, call] of left) calls[id] = { ...call, state: call.asks && call.state === "waiting" ? open : "finished" };
  return { ...state, calls };
}

function foldMessage(state, entry) {
  const { role, content, id, name, tool_calls: calls, tool_call_id: callId, local } = entry.message;
  if (role === "user") {
    const isAnswer = state.outcome === "awaiting_answer" || state.outcome === "awaiting_plan";
    const first = state.agent && state.agent !== "orchestrator" ? "specialist" : "router";
    const begun = isAnswer ? state : { ...closeCalls(state, "passed over"), turn: state.turn + 1, path: enter(start(state.path), first) };
    return add({ ...begun, outcome: "running" }, entry.seq, "user", { text: content, id, key: `user-${id}` });
  }
  if (local) {
    const path = enter(enter(enter(state.path, "specialist", "join"), "local_call"), "specialist");
    return add({ ...state, path }, entry.seq, "local", { tool: name, text: content, key: `local-${id}` });
  }
  if (role === "tool") return add(state, entry.seq, "result", { tool: name, callId, text: content, key: `result-${id}` });
  const named = (calls ?? []).map((call) => `${call.function.name} ${call.function.arguments}`);
  return add(state, entry.seq, "assistant", { text: content, agent: name, calls: named, key: `past-${id}` });
}

/** @param {object} chunk one chunk of protocol version 2 (docs/protocol.md) */
function foldChunk(before, seq, chunk) {
  const about = chunk.metadata ?? {};
  const goesOn = !["status", "done", "session_info"].includes(chunk.type);
  const state = goesOn && before.outcome !== "running" ? { ...closeCalls(before, "passed over"), outcome: "running" } : before;
  switch (chunk.type) {
    case "assistant_message":
      return chunk.is_final ? finalText(state, seq, chunk, about) : delta(state, seq, chunk.token ?? "");
    case "agent_switched":
      return add(
        { ...state, agent: about.to_agent, path: state.path.at.includes("router") ? state.path : enter(state.path, "specialist") },
        seq, "switch", { from: about.from_agent, to: about.to_agent, reason: about.reason },
      );
    case "tool_call": {
      const call = {
        id: chunk.call_id, tool: chunk.tool_name, arguments: chunk.arguments ?? {}, asks: chunk.requires_approval,
        about, state: "waiting", feedback: null,
      };
      const path = enter(enter(state.path, "specialist", "join"), chunk.requires_approval ? "approval" : "ide_call", "beside");
      const kept = { ...flush(state, seq), agent: about.agent ?? state.agent, calls: { ...state.calls, [chunk.call_id]: call }, path };
      return add(kept, seq, "call", { callId: chunk.call_id, key: `call-${chunk.call_id}` });
    }
    case "status":
      return status(state, seq, chunk, about);
    case "plan_created":
      return { ...flush(state, seq), path: enter(state.path, "specialist", "join") };
    case "plan_approval_required": {
      const plan = { ...chunk.plan_summary, requestId: chunk.approval_request_id, state: "waiting" };
      return add({ ...state, plan }, seq, "plan", { plan, requestId: chunk.approval_request_id, key: `plan-${chunk.plan_id}` });
    }
    case "plan_rejected":
      return { ...state, plan: state.plan && { ...state.plan, state: "rejected" } };
    case "plan_modification_requested":
      return { ...state, plan: state.plan && { ...state.plan, state: "in revision" } };
    case "subtask_completed":
      return subtask({ ...flush(state, seq), path: enter(enter(state.path, "specialist", "join"), "plan_step") }, about.subtask_id, "completed");
    case "execution_completed":
      return add(
        { ...flush(state, seq), plan: state.plan && { ...state.plan, state: about.status }, path: enter(state.path, "plan_step") },
        seq, "note", { text: chunk.content },
      );
    case "error":
      return add(flush(state, seq), seq, "error", { text: chunk.content, code: about.code });
    case "done":
      return done(flush(state, seq), seq, about);
    default:
      return state;
  }
}

function delta(state, seq, token) {
  const path = enter(state.path, "specialist", "join");
  return { ...state, text: state.text + token, textSeq: state.text ? state.textSeq : seq, path };
}

function finalText(state, seq, chunk, about) {
  const path = enter(state.path, "specialist", "join");
  const text = chunk.content ?? state.text;
  if (!text && !(about.suggestions ?? []).length) return { ...state, text: "", path };
  const fields = { text, agent: state.agent, suggestions: about.suggestions ?? null, isPartial: Boolean(about.partial) };
  return add({ ...state, text: "", path }, state.text ? state.textSeq : seq, "assistant", { ...fields, key: `said-${seq}` });
}

/** Text that was shown and never ended becomes an item of its own. */
function flush(state, seq) {
  if (!state.text) return state;
  return add({ ...state, text: "" }, seq, "assistant", { text: state.text, agent: state.agent, isPartial: true, key: `cut-${seq}` });
}

function status(state, seq, chunk, about) {
  if (about.status === "restarted") {
    const items = state.items.filter((item) => item.seq < about.from_seq || item.kind === "user");
    return add({ ...state, items, text: "" }, seq, "note", { text: chunk.content });
  }
  const call = state.calls[about.call_id];
  if (call && DECIDED[about.status]) {
    const changed = { ...call, state: DECIDED[about.status], decision: about.decision, feedback: about.feedback ?? call.feedback };
    if (about.arguments) changed.edited = about.arguments;
    return { ...state, calls: { ...state.calls, [about.call_id]: changed } };
  }
  if (about.status === "denied") {
    const denied = { ...flush(state, seq), path: enter(state.path, "specialist") };
    return add(denied, seq, "denied", { tool: about.tool_name, text: chunk.content, reasons: about.reasons ?? [] });
  }
  if (about.subtask_id) {
    const moved = { ...state, outcome: "running", agent: about.agent ?? state.agent, path: enter(enter(state.path, "plan_step"), "specialist") };
    return add(subtask(moved, about.subtask_id, "running"), seq, "note", { text: chunk.content });
  }
  const path = about.fsm_state === "plan_execution" ? enter(state.path, "plan_step") : state.path;
  return add({ ...state, path, plan: about.fsm_state && state.plan ? { ...state.plan, state: "executing" } : state.plan }, seq, "note", { text: chunk.content });
}

function subtask(state, id, status_) {
  if (!state.plan) return state;
  const subtasks = state.plan.subtasks.map((one) => (one.id === id ? { ...one, status: status_ } : one));
  return { ...state, plan: { ...state.plan, subtasks } };
}

function done(state, seq, about) {
  const used = about.usage ?? {};
  const usage = Object.fromEntries(Object.entries(state.usage).map(([name, count]) => [name, count + (used[name] ?? 0)]));
  const pauses = { awaiting_answer: "question", awaiting_plan: "plan_review" };
  let { path } = state;
  if (pauses[about.outcome]) path = enter(path, pauses[about.outcome]);
  else if (about.outcome?.startsWith("awaiting")) path = { ...path, at: path.at.filter((node) => node !== "specialist") };
  else path = leave(path);
  return add({ ...state, usage, outcome: about.outcome, path }, seq, "done", { outcome: about.outcome, usage: used });
}
