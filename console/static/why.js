// What stands behind a session: its model calls with prompts, its audit, its remembered rules.
import { useEffect, useState } from "preact/hooks";
import { call, get } from "./api.js";
import { html } from "./html.js";

const TABS = { calls: "Model calls", audit: "Audit", rules: "Rules" };

/** @param {{id: string, version: number}} props `version` changes when the session does */
export function Behind({ id, version }) {
  const [tab, setTab] = useState("calls");
  const parts = { calls: ModelCalls, audit: Audit, rules: Rules };
  return html`<section class="behind" aria-label="Behind it">
    <div class="tabs" role="tablist">${Object.entries(TABS).map(([name, label]) => html`<button role="tab" id=${`tab-${name}`} aria-selected=${tab === name} aria-controls="behind" onClick=${() => setTab(name)}>${label}</button>`)}</div>
    <div id="behind" role="tabpanel" aria-labelledby=${`tab-${tab}`}><${parts[tab]} id=${id} version=${version} /></div>
  </section>`;
}

/** What a path gives, read again when `version` changes, at most twice a second. */
function useFound(path, version) {
  const [found, setFound] = useState(null);
  useEffect(() => {
    let isShown = true;
    const timer = setTimeout(() => get(path).then((answer) => isShown && setFound(answer), () => {}), found ? 500 : 0);
    return () => { isShown = false; clearTimeout(timer); };
  }, [path, version]);
  return [found, setFound];
}

function ModelCalls({ id, version }) {
  const [found] = useFound(`/sessions/${id}/model-calls`, version);
  if (!found) return html`<p class="hint">Loading …</p>`;
  if (!found.model_calls.length) return html`<p class="hint">No model has been called.</p>`;
  return turnsOf(found.model_calls).map((turn, place) => html`<section key=${turn[0].run_id}>
    <h4>Turn ${place + 1}${priced(turn.reduce((sum, one) => sum + (one.cost_usd ?? 0), 0))}</h4>
    <ol class="model-calls">${turn.map((one) => html`<li key=${one.id}><${ModelCall} id=${id} one=${one} /></li>`)}</ol>
  </section>`);
}

/** The model calls of each run, in order. */
function turnsOf(calls) {
  const turns = new Map();
  for (const one of calls) turns.set(one.run_id, [...(turns.get(one.run_id) ?? []), one]);
  return [...turns.values()];
}

const priced = (usd) => (usd ? ` · $${usd.toFixed(4)}` : "");

function ModelCall({ id, one }) {
  const [detail, setDetail] = useState(null);
  const open = (event) => {
    if (event.currentTarget.open && !detail) get(`/sessions/${id}/model-calls/${one.id}`).then(setDetail, (error) => setDetail({ problem: error.message }));
  };
  return html`<details onToggle=${open}>
    <summary>${one.agent} <span class="hint">${one.purpose} · ${one.model ?? "no model"} · ${one.duration_ms} ms · ${one.total_tokens ?? "?"} tokens${one.cached_tokens ? `, ${one.cached_tokens} of the prompt cached` : ""}${priced(one.cost_usd)}${one.retries ? ` · ${one.retries} retries` : ""} · ${one.outcome}</span></summary>
    ${detail?.problem && html`<p class="problem">${detail.problem}</p>`}
    ${detail && !detail.problem && html`<div>
      ${detail.cautions.map((sentence) => html`<p class="caution">${sentence}</p>`)}
      ${detail.prompt !== null && html`<h4>Prompt</h4><pre tabindex="0" aria-label="Prompt">${detail.prompt}</pre>`}
      <h4>Messages (${detail.messages.length})</h4>
      ${detail.messages.map((message) => html`<details><summary>${message.role} ${message.name ?? ""} <span class="hint">${message.content.slice(0, 80)}</span></summary><pre tabindex="0" aria-label="Message">${message.content}</pre></details>`)}
      <h4>Tools</h4><p>${detail.tools.map((tool) => html`<code>${tool}</code> `)}</p>
      ${detail.reply && html`<h4>Reply</h4><pre tabindex="0" aria-label="Reply">${detail.reply.content}${detail.reply.tool_calls ? `\n${JSON.stringify(detail.reply.tool_calls, null, 2)}` : ""}</pre>`}
    </div>`}
  </details>`;
}

function Audit({ id, version }) {
  const [found] = useFound(`/sessions/${id}/audit?limit=1000`, version);
  if (!found) return html`<p class="hint">Loading …</p>`;
  return html`<div class="scroll" tabindex="0" role="region" aria-label="Audit"><table><thead><tr><th>when</th><th>event</th><th>who</th><th>what</th></tr></thead><tbody>
    ${found.entries.map((entry) => html`<tr key=${entry.id}><td><time datetime=${entry.at}>${entry.at.slice(11, 19)}</time></td><td>${entry.event}</td>
      <td>${entry.actor}${entry.details.via ? ` by ${entry.details.via}` : ""}</td><td>${entry.tool_name && html`<code>${entry.tool_name}</code>`} ${entry.details.decision ?? entry.details.reason ?? ""}</td></tr>`)}
  </tbody></table></div>`;
}

function Rules({ id, version }) {
  const [found, setFound] = useFound(`/sessions/${id}/rules`, version);
  const revoke = async (rule) => {
    await call("DELETE", `/sessions/${id}/rules/${rule.id}`);
    setFound({ ...found, rules: found.rules.filter((one) => one !== rule) });
  };
  if (!found) return html`<p class="hint">Loading …</p>`;
  if (!found.rules.length) return html`<p class="hint">This session remembers no approval.</p>`;
  return html`<ul class="rules">${found.rules.map((rule) => html`<li key=${rule.id}>${rule.label} <button onClick=${() => revoke(rule)}>Revoke</button></li>`)}</ul>`;
}
