// A verdict of the policy: danger, reasons with their place in the command, segments.
import { html } from "./html.js";

/** A command with the spans of the reasons marked. */
function Command({ text, reasons }) {
  const marks = (reasons ?? []).filter((reason) => reason.span).map((reason) => reason.span).sort((a, b) => a[0] - b[0]);
  const parts = [];
  let end = 0;
  for (const [from, to] of marks) {
    if (from < end) continue;
    parts.push(text.slice(end, from), html`<mark>${text.slice(from, to)}</mark>`);
    end = to;
  }
  return html`<pre class="command" tabindex="0" aria-label="Command">${parts}${text.slice(end)}</pre>`;
}

/** @param {{tool: string, arguments: object, about: object}} props `about`: danger, reasons, segments */
export function Verdict({ tool, arguments: given, about }) {
  const command = tool === "execute_command" ? String(given?.command ?? "") : null;
  return html`<div class="verdict">
    ${command !== null && html`<${Command} text=${command} reasons=${about.reasons} />`}
    ${about.danger && html`<span class=${`danger ${about.danger}`}>danger: ${about.danger}</span>`}
    ${(about.reasons ?? []).length > 0 && html`<ul class="reasons">${about.reasons.map((reason) => html`<li>${reason.text} <code>${reason.code}</code></li>`)}</ul>`}
    ${(about.segments ?? []).length > 1 && html`<table class="segments"><caption>Parts of the command</caption><tbody>
      ${about.segments.map((part) => html`<tr><td><code>${(part.argv ?? []).join(" ")}</code></td><td>${part.verdict}</td></tr>`)}</tbody></table>`}
  </div>`;
}

/** Arguments as people read them: long text as it is, the rest as JSON. */
export function Arguments({ given, without = [] }) {
  const rows = Object.entries(given ?? {}).filter(([name]) => !without.includes(name));
  if (!rows.length) return null;
  return html`<dl class="arguments">${rows.map(([name, value]) => html`<dt>${name}</dt>
    <dd><pre tabindex="0" aria-label=${name}>${typeof value === "string" ? value : JSON.stringify(value, null, 2)}</pre></dd>`)}</dl>`;
}
