// What waits for a person: a call to approve, a plan to review, a question to answer. Keyboard first.
import { useRef, useState } from "preact/hooks";
import { call, send } from "./api.js";
import { Diff, LoadedDiff } from "./diff.js";
import { html } from "./html.js";
import { Arguments, Verdict } from "./verdict.js";

/**
 * One waiting thing. `row` is a row of GET /pending; `onSettled` is told what became of it.
 * Keys in its frame: a approve, r reject, e edit.
 */
export function Waiting({ row, onSettled }) {
  const [mode, setMode] = useState("look");
  const [problem, setProblem] = useState("");
  const [isBusy, setBusy] = useState(false);
  const settle = async (doing) => {
    setBusy(true);
    setProblem("");
    try {
      await doing();
      onSettled(row);
    } catch (error) {
      if (["call_settled", "approval_unknown", "call_unknown"].includes(error.code)) return onSettled(row, "Somebody else has decided it.");
      setProblem(error.message);
    }
    return setBusy(false);
  };
  const decide = (decision, more = {}) => settle(() => call("POST",
    `/sessions/${row.session_id}/approvals/${encodeURIComponent(row.request_id)}`,
    { decision, ...(row.request_type === "tool" ? { digest: row.digest } : {}), ...more }));
  const onKey = (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, textarea, select")) return;
    if (event.key === "a" && row.request_type !== "question" && event.target.closest(".waiting") === event.currentTarget) decide("approve");
    else if (event.key === "r" && row.request_type !== "question") setMode("reject");
    else if (event.key === "e" && row.request_type === "tool") setMode("edit");
    else return;
    event.preventDefault();
  };
  const parts = { tool: Call, plan: Plan, question: Question };
  return html`<article class="waiting" tabindex="0" data-call=${row.call_id} onKeyDown=${onKey} aria-label=${`Waiting: ${row.subject}`} aria-busy=${isBusy}>
    <${parts[row.request_type]} row=${row} mode=${mode} setMode=${setMode} decide=${decide} settle=${settle} isBusy=${isBusy} />
    ${problem && html`<p class="problem" role="alert">${problem}</p>`}
  </article>`;
}

function Call({ row, mode, setMode, decide, isBusy }) {
  const [remember, setRemember] = useState("");
  const options = row.details.remember_options ?? [];
  const text = ["content", "old", "new", "command"];
  return html`
    <h3><code>${row.tool_name}</code> <span class="hint">${row.agent ? `by ${row.agent}: ` : ""}${row.reason}</span></h3>
    <${Verdict} tool=${row.tool_name} arguments=${row.arguments} about=${row.details} />
    ${row.change === undefined ? html`<${LoadedDiff} sessionId=${row.session_id} callId=${row.call_id} />` : html`<${Diff} change=${row.change} />`}
    <${Arguments} given=${row.arguments} without=${row.tool_name === "execute_command" || row.change !== null ? text : []} />
    ${mode === "edit" && html`<${Edit} row=${row} decide=${decide} cancel=${() => setMode("look")} />`}
    ${mode === "reject" && html`<${Reject} decide=${decide} cancel=${() => setMode("look")} />`}
    ${mode === "look" && html`<div class="actions">
      <button class="yes" disabled=${isBusy} onClick=${() => decide("approve", remember ? { remember: "session", remember_option: remember } : {})}>Approve <kbd>a</kbd></button>
      <button disabled=${isBusy} onClick=${() => setMode("edit")}>Edit <kbd>e</kbd></button>
      <button class="no" disabled=${isBusy} onClick=${() => setMode("reject")}>Reject <kbd>r</kbd></button>
      ${options.length > 0 && html`<label>Remember <select value=${remember} onChange=${(event) => setRemember(event.target.value)}>
        <option value="">only this once</option>
        ${options.map((option) => html`<option value=${option.id}>${option.label}</option>`)}
      </select></label>`}
    </div>`}`;
}

function Edit({ row, decide, cancel }) {
  const [text, setText] = useState(JSON.stringify(row.arguments, null, 2));
  const [wrong, setWrong] = useState("");
  const approve = (event) => {
    event.preventDefault();
    try {
      decide("edit", { modified_arguments: JSON.parse(text) });
    } catch {
      setWrong("This is not JSON.");
    }
  };
  return html`<form class="stack" onSubmit=${approve}>
    <label>Arguments, as JSON <textarea rows="10" value=${text} onInput=${(event) => setText(event.target.value)} ref=${focus}></textarea></label>
    ${wrong && html`<p class="problem" role="alert">${wrong}</p>`}
    <div class="actions"><button class="yes">Approve the edited call</button><button type="button" onClick=${cancel}>Back</button></div>
  </form>`;
}

function Reject({ decide, cancel, verb = "reject", label = "Why not? The agent reads it.", isNeeded = false }) {
  const field = useRef(null);
  const reject = (event) => {
    event.preventDefault();
    const feedback = field.current.value.trim();
    decide(verb, feedback ? { feedback } : {});
  };
  return html`<form class="stack" onSubmit=${reject}>
    <label>${label} <textarea rows="2" required=${isNeeded} ref=${(node) => { field.current = node; focus(node); }}></textarea></label>
    <div class="actions"><button class="no">${verb === "modify" ? "Ask for changes" : "Reject"}</button><button type="button" onClick=${cancel}>Back</button></div>
  </form>`;
}

function Plan({ row, mode, setMode, decide, isBusy }) {
  return html`
    <h3>Plan: ${row.details.title}</h3>
    <${Steps} plan=${row.details} />
    ${mode === "reject" && html`<${Reject} decide=${decide} cancel=${() => setMode("look")} />`}
    ${mode === "modify" && html`<${Reject} decide=${decide} cancel=${() => setMode("look")} verb="modify" label="What should be different?" isNeeded />`}
    ${mode === "look" && html`<div class="actions">
      <button class="yes" disabled=${isBusy} onClick=${() => decide("approve")}>Approve <kbd>a</kbd></button>
      <button disabled=${isBusy} onClick=${() => setMode("modify")}>Ask for changes</button>
      <button class="no" disabled=${isBusy} onClick=${() => setMode("reject")}>Reject <kbd>r</kbd></button>
    </div>`}`;
}

/** The subtasks of a plan with how far each is. */
export function Steps({ plan }) {
  return html`<p>${plan.description}</p><ol class="steps">${plan.subtasks.map((one) => html`<li key=${one.id} data-status=${one.status}>
    <span class="agent">${one.agent}</span> ${one.description} <span class="hint">${one.estimated_time} · ${one.status}</span></li>`)}</ol>`;
}

function Question({ row, settle, isBusy }) {
  const [text, setText] = useState("");
  const answer = (content) => settle(() => send(row.session_id, { type: "user_message", content }));
  const submit = (event) => {
    event.preventDefault();
    if (text.trim()) answer(text);
  };
  return html`
    <h3>${row.question.question}</h3>
    <div class="actions">${row.question.suggestions.map((one) => html`<button disabled=${isBusy} onClick=${() => answer(one)}>${one}</button>`)}</div>
    <form class="line" onSubmit=${submit}><label>Answer <input value=${text} onInput=${(event) => setText(event.target.value)} /></label><button disabled=${isBusy}>Send</button></form>`;
}

function focus(node) {
  if (node && !node.dataset.focused) {
    node.dataset.focused = "yes";
    node.focus();
  }
}
