// The conversation: what was said, each call with what came of it, plans, errors, what each turn cost.
import { useState } from "preact/hooks";
import { get } from "./api.js";
import { Steps } from "./decide.js";
import { LoadedDiff } from "./diff.js";
import { html } from "./html.js";
import { Markdown } from "./markdown.js";
import { Arguments, Verdict } from "./verdict.js";

const STEP = 120;
const STATES = { waiting: "waiting", approved: "approved, running", rejected: "rejected", finished: "finished", "passed over": "passed over" };

/** The newest items; earlier ones come when they are asked for, so that 3,000 messages stay smooth. */
export function Conversation({ view, sessionId, onFork, agent }) {
  const [more, setMore] = useState(0);
  const from = Math.max(0, view.items.length - STEP - more);
  return html`<div class="conversation" role="log" aria-live="off" aria-label="Conversation">
    ${from > 0 && html`<button class="earlier" onClick=${() => setMore(more + STEP)}>Show earlier (${from})</button>`}
    ${view.items.slice(from).map((item) => html`<${Item} key=${item.key} item=${item} view=${view} agent=${agent} sessionId=${sessionId} onFork=${onFork} call=${view.calls[item.callId]} />`)}
    ${view.text && html`<div class="said streaming" data-kind="assistant"><p class="who">${view.agent ?? agent}</p><${Markdown} text=${view.text} /></div>`}
  </div>`;
}

function Item({ item, agent, view, sessionId, onFork, call }) {
  switch (item.kind) {
    case "user":
      return html`<div class="said user" data-kind="user"><p class="who">you ${onFork && html`<button class="small" onClick=${() => onFork(item)}>Fork before this</button>`}</p><p class="text">${item.text}</p></div>`;
    case "assistant":
      return html`<div class="said" data-kind="assistant"><p class="who">${item.agent ?? agent}${item.isPartial ? " (cut off)" : ""}</p><${Markdown} text=${item.text} />
        ${(item.calls ?? []).map((text) => html`<p class="hint"><code>${text.slice(0, 300)}</code></p>`)}</div>`;
    case "call":
      return call ? html`<${Call} call=${call} sessionId=${sessionId} />` : null;
    case "plan":
      return html`<${Plan} plan=${view.plan?.requestId === item.requestId ? view.plan : { ...item.plan, state: "replaced" }} />`;
    case "denied":
      return html`<details class="note denied" data-kind="denied"><summary><code>${item.tool}</code> denied: ${item.text}</summary>
        <ul>${item.reasons.map((reason) => html`<li>${reason.text ?? String(reason)}</li>`)}</ul></details>`;
    case "local":
    case "result":
      return html`<details class="note" data-kind=${item.kind}><summary>Result of <code>${item.tool}</code></summary><pre tabindex="0" aria-label="Result">${item.text}</pre></details>`;
    case "switch":
      return html`<p class="note" data-kind="switch">${item.from} → <strong>${item.to}</strong> <span class="hint">${item.reason}</span></p>`;
    case "error":
      return html`<p class="note problem" role="alert" data-kind="error">${item.text} <code>${item.code}</code></p>`;
    case "done":
      return html`<p class="done" data-kind="done">${item.outcome?.replaceAll("_", " ")}${item.usage.llm_calls ? ` · ${counted(item.usage.llm_calls, "model call")}` : ""}${item.usage.total_tokens ? ` · ${item.usage.total_tokens} tokens` : ""}</p>`;
    default:
      return html`<p class="note hint" data-kind="note">${item.text}</p>`;
  }
}

function Plan({ plan }) {
  return html`<details class="note plan" data-kind="plan" open=${plan.state !== "waiting"}><summary>Plan: ${plan.title} <span class="hint">${plan.state}</span></summary><${Steps} plan=${plan} /></details>`;
}

function Call({ call, sessionId }) {
  const [outcome, setOutcome] = useState(null);
  const open = (event) => {
    if (event.currentTarget.open && !outcome) get(`/sessions/${sessionId}/calls/${encodeURIComponent(call.id)}/result`).then(setOutcome, (error) => setOutcome({ error: error.message, result: null }));
  };
  const about = { danger: call.about.danger, reasons: call.about.reasons, segments: call.about.segments };
  const named = call.arguments.path ?? call.arguments.command ?? call.arguments.pattern ?? "";
  return html`<details class="note call" data-kind="call" data-state=${call.state} onToggle=${open}>
    <summary><code>${call.tool}</code> <span class="what">${String(named).slice(0, 120)}</span> <span class=${`state ${call.state.replace(" ", "-")}`}>${STATES[call.state]}</span>
      ${call.feedback && html`<span class="hint">“${call.feedback}”</span>`}</summary>
    <${Verdict} tool=${call.tool} arguments=${call.arguments} about=${about} />
    ${outcome && html`<${LoadedDiff} sessionId=${sessionId} callId=${call.id} />`}
    <${Arguments} given=${call.edited ?? call.arguments} without=${["command"]} />
    ${outcome && call.state !== "waiting" && html`<dl class="arguments"><dt>state</dt><dd>${outcome.state ?? ""}</dd>
      ${outcome.error && html`<dt>error</dt><dd><pre tabindex="0" aria-label="Error">${outcome.error}</pre></dd>`}
      ${outcome.result !== null && html`<dt>result</dt><dd><pre tabindex="0" aria-label="Result">${shown(outcome.result)}</pre></dd>`}</dl>`}
  </details>`;
}

/** A number with its noun. */
export function counted(number, noun) {
  return `${number} ${noun}${number === 1 ? "" : "s"}`;
}

function shown(result) {
  if (typeof result === "string") return result;
  if (typeof result?.content === "string") return result.content;
  return JSON.stringify(result, null, 2);
}
