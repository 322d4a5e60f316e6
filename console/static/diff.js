// What a call would write, as a diff, and which old text it is against.
import { useEffect, useState } from "preact/hooks";
import { get } from "./api.js";
import { html } from "./html.js";

const AGAINST = {
  last_read: "against the text that was read last in this session",
  last_write: "against the text that was written last in this session",
  quoted: "against the piece that the call quotes",
  nothing: "the old text is not known here: every line is shown as new",
};
const KINDS = { "+": "added", "-": "removed", "@": "place" };

/** @param {{change: object}} props what GET …/change gives */
export function Diff({ change }) {
  if (!change) return null;
  return html`<figure class="diff">
    <figcaption><code>${change.path}</code> · ${AGAINST[change.against]}</figcaption>
    <pre tabindex="0" aria-label=${`Changes of ${change.path}`}>${change.diff.map((line, index) => html`<span key=${index} class=${KINDS[line[0]] ?? "same"}>${line}${"\n"}</span>`)}</pre>
    ${change.is_cut && html`<p class="hint">Only the first lines are shown.</p>`}
  </figure>`;
}

/** The diff of a call, loaded when it is shown. */
export function LoadedDiff({ sessionId, callId }) {
  const [change, setChange] = useState(null);
  useEffect(() => {
    let isShown = true;
    get(`/sessions/${sessionId}/calls/${encodeURIComponent(callId)}/change`).then((found) => isShown && setChange(found), () => {});
    return () => { isShown = false; };
  }, [sessionId, callId]);
  return html`<${Diff} change=${change} />`;
}
