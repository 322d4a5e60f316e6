// Folds the golden chunks and a made session; prints what the Python test compares. Usage: node fold.mjs GOLDEN_DIR
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { EMPTY, fold, foldAll } from "../../console/static/fold.js";
import { EDGES, NODES } from "../../console/static/path.js";
import { merge, Timeline } from "../../console/static/timeline.js";

const golden = (kind) => JSON.parse(readFileSync(`${process.argv[2]}/chunk_${kind}.json`, "utf8"));
const chunk = (type, fields = {}) => ({ ...golden(type), content: null, token: null, ...fields });
const said = (content) => [chunk("assistant_message", { token: content, is_final: false }), chunk("assistant_message", { content, is_final: true, metadata: null })];
const done = (outcome, llm_calls = 1) => chunk("done", { metadata: { outcome, usage: { llm_calls, prompt_tokens: 10, completion_tokens: 2, total_tokens: 12 } } });
const call = (call_id, requires_approval) => chunk("tool_call", { call_id, requires_approval });
const numbered = (chunks) => chunks.map((one, index) => ({ seq: index + 1, chunk: one }));
const user = (position, after_seq, content) => ({ role: "user", id: `u${position}`, content, position, after_seq });

const parts = {
  "every golden chunk is folded alone, and the view before it stays as it was": () => {
    for (const kind of JSON.parse(process.argv[3])) {
      const before = JSON.stringify(EMPTY);
      const view = fold(EMPTY, { seq: 1, chunk: golden(kind) });
      assert.equal(JSON.stringify(EMPTY), before, kind);
      assert.equal(view.seq, 1, kind);
    }
  },
  "live, replay and any moment are one view": () => {
    const events = numbered([...said("Reading."), call("c1", true), done("awaiting_approval"),
      chunk("status", { metadata: { call_id: "c1", status: "approved", decision: "approve" } }), done("awaiting_tool", 0), ...said("Done."), done("completed")]);
    const entries = merge(events, [user(1, null, "Go")]);
    const timeline = new Timeline();
    let live = EMPTY;
    entries.forEach((entry, index) => {
      live = fold(live, entry);
      timeline.push(entry);
      assert.deepEqual(timeline.at(index + 1), live);
      assert.deepEqual(foldAll(entries.slice(0, index + 1)), live);
    });
    entries.forEach((_, index) => assert.deepEqual(timeline.at(index), foldAll(entries.slice(0, index)), `moment ${index}`));
    assert.deepEqual(live.items.map((item) => item.kind), ["user", "assistant", "call", "done", "done", "assistant", "done"]);
    assert.equal(live.calls.c1.state, "finished");
    assert.deepEqual(live.path.at, ["__end__"]);
    assert.deepEqual(live.path.turn, { "__start__>router": 1, "router>specialist": 1, "specialist>approval": 1, "approval>specialist": 1, "specialist>__end__": 1 });
    assert.equal(live.usage.llm_calls, 2);
  },
  "a moment of a long log is near a snapshot and the same": () => {
    const entries = numbered(Array.from({ length: 700 }, (_, n) => said(`text ${n}`)).flat());
    const timeline = new Timeline(entries);
    for (const count of [0, 1, 499, 500, 501, 1000, 1399, 1400]) assert.deepEqual(timeline.at(count), foldAll(entries.slice(0, count)), `${count}`);
  },
  "several calls of one round light several nodes and each edge is counted": () => {
    const entries = merge(numbered([call("a", false), call("b", true), done("awaiting_approval")]), [user(1, null, "Go")]);
    const { path } = foldAll(entries);
    assert.deepEqual(path.at, ["ide_call", "approval"]);
    assert.equal(path.turn["specialist>ide_call"] + path.turn["specialist>approval"], 2);
  },
  "text that a restart sends again is shown once": () => {
    const half = chunk("assistant_message", { token: "Half", is_final: false });
    const restarted = chunk("status", { content: "again", metadata: { status: "restarted", from_seq: 1 } });
    const view = foldAll(numbered([half, restarted, ...said("Whole"), done("completed")]));
    assert.deepEqual(view.items.filter((item) => item.kind === "assistant").map((item) => item.text), ["Whole"]);
    assert.equal(view.text, "");
  },
  "a new message passes over what waits": () => {
    const entries = merge(numbered([call("a", true), done("awaiting_approval"), ...said("Fine."), done("completed")]), [user(1, null, "Go"), user(2, 2, "Stop")]);
    const view = foldAll(entries);
    assert.equal(view.calls.a.state, "passed over");
    assert.equal(view.turn, 2);
  },
  "a turn of the current agent does not lead through the router": () => {
    const switched = (to_agent) => chunk("agent_switched", { metadata: { ...golden("agent_switched").metadata, to_agent } });
    const events = numbered([switched("coder"), ...said("Yes."), done("completed"), ...said("No."), done("completed"), switched("orchestrator"), ...said("Why?"), done("completed")]);
    const view = foldAll(merge(events, [user(1, null, "Go"), user(2, 4, "And?"), user(3, 8, "Then?")]));
    assert.equal(view.path.total["__start__>specialist"], 1);
    assert.equal(view.path.total["__start__>router"], 2);
  },
  "an answer to a question belongs to the same turn": () => {
    const entries = merge(numbered([...said("Which?"), done("awaiting_answer"), ...said("Blue."), done("completed")]), [user(1, null, "Paint"), user(2, 3, "blue")]);
    const view = foldAll(entries);
    assert.equal(view.turn, 1);
    assert.equal(view.path.turn["question>specialist"], 1);
  },
  "a plan moves with its subtasks": () => {
    const plan = golden("plan_approval_required");
    const id = plan.plan_summary.subtasks[0].id;
    const view = foldAll(merge(numbered([golden("plan_created"), plan, done("awaiting_plan"),
      chunk("status", { content: "go", metadata: { fsm_state: "plan_execution" } }), chunk("status", { content: "1/1", metadata: { subtask_id: id, agent: "coder", progress: "1/1" } }),
      ...said("x"), chunk("subtask_completed", { metadata: { ...golden("subtask_completed").metadata, subtask_id: id } }), golden("execution_completed"), done("completed")]), [user(1, null, "Plan")]));
    assert.equal(view.plan.subtasks[0].status, "completed");
    for (const edge of ["specialist>plan_review", "plan_review>plan_step", "plan_step>specialist", "specialist>plan_step", "plan_step>__end__"]) assert.equal(view.path.turn[edge], 1, edge);
  },
  "messages before the log are shown, those of the log once": () => {
    const past = [user(1, null, "Old"), { role: "assistant", id: "m", content: "old answer", name: "ask", position: 2, after_seq: null }];
    const logged = [user(3, null, "New"), { role: "assistant", id: "n", content: "Hi", name: "ask", position: 4, after_seq: 2 }];
    const view = foldAll(merge(numbered([...said("Hi"), done("completed")]), [...past, ...logged]));
    assert.deepEqual(view.items.filter((item) => item.text).map((item) => item.text), ["Old", "old answer", "New", "Hi"]);
  },
  "a session of 3,000 messages and 60,000 deltas is folded in one pass": () => {
    const entries = [];
    for (let n = 0; n < 3000; n += 1) {
      for (let k = 0; k < 20; k += 1) entries.push({ seq: entries.length + 1, chunk: chunk("assistant_message", { token: "word ", is_final: false }) });
      entries.push({ seq: entries.length + 1, chunk: chunk("assistant_message", { content: "x", is_final: true, metadata: null }) });
    }
    assert.equal(new Timeline(entries).latest.items.length, 3000);
  },
};
for (const [name, part] of Object.entries(parts)) {
  part();
  console.error(`ok: ${name}`);
}
console.log(JSON.stringify({ nodes: Object.keys(NODES), edges: EDGES }));
