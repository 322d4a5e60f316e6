// Figures of the owner's sessions as small plots.
import { useEffect, useState } from "preact/hooks";
import { get } from "./api.js";
import { html } from "./html.js";

/** One bar per row: {label, value, unit}. */
function Bars({ title, rows }) {
  const most = Math.max(1, ...rows.map((row) => row.value));
  const told = rows.map((row) => `${row.label}: ${row.value} ${row.unit ?? ""}`).join(", ");
  return html`<section class="bars"><h2>${title}</h2>${rows.length === 0 ? html`<p class="hint">Nothing yet.</p>`
    : html`<svg viewBox=${`0 0 640 ${rows.length * 26}`} role="img" aria-label=${`${title}. ${told}`}>
    ${rows.map((row, index) => html`<g key=${row.label}><text x="0" y=${index * 26 + 17}>${row.label}</text>
      <rect x="190" y=${index * 26 + 5} width=${Math.max(2, (row.value / most) * 330)} height="16" rx="3" />
      <text x=${198 + (row.value / most) * 330} y=${index * 26 + 17}>${row.value} ${row.unit ?? ""}</text></g>`)}
  </svg>`}</section>`;
}

export function Metrics() {
  const [found, setFound] = useState(null);
  useEffect(() => { get("/events/metrics").then((answer) => setFound(answer.metrics), () => {}); }, []);
  if (!found) return html`<main class="narrow"><p role="status">Loading …</p></main>`;
  const rows = (group, value, unit) => Object.entries(group).map(([label, one]) => ({ label, value: value(one), unit }));
  const flat = (group) => Object.entries(group).flatMap(([outer, counts]) => Object.entries(counts).map(([inner, value]) => ({ label: `${outer}: ${inner}`, value })));
  return html`<main class="narrow"><h1>Metrics of your sessions</h1>
    <${Bars} title="Model calls by agent" rows=${rows(found.agent_processing, (one) => one.count)} />
    <${Bars} title="Mean time of a model call" rows=${rows(found.agent_processing, (one) => Math.round(one.total_duration_ms / Math.max(1, one.count)), "ms")} />
    <${Bars} title="Tool calls" rows=${rows(found.tool_executions, (one) => one.requested)} />
    <${Bars} title="Failed tool calls" rows=${rows(found.tool_executions, (one) => one.failed).filter((row) => row.value)} />
    <${Bars} title="Decisions" rows=${flat(found.hitl_decisions)} />
    <${Bars} title="Agent switches" rows=${rows(found.agent_switches, Number)} />
    <${Bars} title="Errors" rows=${flat(found.errors)} /></main>`;
}
