// The inbox: what waits in all sessions, and all sessions.
import { useEffect, useState } from "preact/hooks";
import { call, follow, get } from "./api.js";
import { Waiting } from "./decide.js";
import { html } from "./html.js";
import { WindowedList } from "./list.js";

const FIRST = 100;
const PAGE = 1000;
const WAITS = {
  running: "running", idle: "", awaiting_approval: "waits for an approval", awaiting_answer: "waits for an answer",
  awaiting_plan: "waits for a plan decision", awaiting_tool: "waits for a tool result",
};

/** All sessions of the owner, newest first; the pages after the first come while the first is shown. */
async function loadSessions(deleted, take) {
  const path = (limit, offset) => `/sessions?limit=${limit}&offset=${offset}${deleted ? "&deleted=true" : ""}`;
  const first = await get(path(FIRST, 0));
  take(first.sessions, first.total);
  for (let offset = FIRST; offset < first.total; offset += PAGE) take((await get(path(PAGE, offset))).sessions, first.total);
}

/** Rows that were read anew stand before the ones that are known; each session stands once. */
function joined(known, fresh, isFirst) {
  const ids = new Set(fresh.map((row) => row.id));
  const others = known.filter((row) => !ids.has(row.id));
  return isFirst ? [...fresh, ...others] : [...others, ...fresh];
}

export function Inbox({ state }) {
  const [waiting, setWaiting] = useState(null);
  const [sessions, setSessions] = useState({ rows: [], total: null });
  const [deleted, setDeleted] = useState(false);
  const [told, setTold] = useState("");
  useEffect(() => {
    const ended = new AbortController();
    let isBusy = false;
    let isStale = false;
    let isLoaded = false;
    setSessions({ rows: [], total: null });
    const load = async () => {
      isStale = isBusy;
      if (isBusy) return;
      isBusy = true;
      try {
        const found = await get("/pending");
        if (!ended.signal.aborted) setWaiting(found);
        if (isLoaded) {
          const page = await get(`/sessions?limit=${FIRST}${deleted ? "&deleted=true" : ""}`);
          setSessions((kept) => ({ rows: joined(kept.rows, page.sessions, true).slice(0, page.total), total: page.total }));
        } else {
          await loadSessions(deleted, (rows, total) => setSessions((kept) => ({ rows: joined(kept.rows, rows, false), total })));
          isLoaded = true;
        }
      } catch (error) {
        setTold(error.message);
      }
      isBusy = false;
      if (isStale && !ended.signal.aborted) load();
    };
    load();
    follow(() => "/pending/stream", 0, load, ended.signal);
    return () => ended.abort();
  }, [deleted]);
  const settled = (row, sentence) => {
    setTold(sentence ?? "");
    setWaiting((found) => ({ ...found, pending: found.pending.filter((one) => one !== row) }));
  };
  const begin = async () => {
    const made = await call("POST", "/sessions", state.workspace ? { session_id: `${state.workspace.prefix}${crypto.randomUUID()}` } : {});
    location.hash = `#/session/${made.id}`;
  };
  const restore = async (id) => {
    await call("POST", `/sessions/${id}/restore`);
    setSessions((found) => ({ rows: found.rows.filter((row) => row.id !== id), total: found.total - 1 }));
  };
  return html`<main class="inbox">
    <section aria-labelledby="waiting-title">
      <h1 id="waiting-title">Waiting for you ${waiting && html`<span class="count">${waiting.count}${waiting.is_cut ? "+" : ""}</span>`}</h1>
      <p role="status" class="hint">${told}</p>
      ${waiting?.pending.length === 0 && html`<p class="empty">Nothing waits for a decision.</p>`}
      ${waiting?.pending.map((row) => html`<div key=${`${row.session_id} ${row.call_id}`}>
        <p class="where"><a href=${`#/session/${row.session_id}`}>${row.session_title || row.session_id}</a> <time datetime=${row.created_at}>${age(row.created_at)}</time></p>
        <${Waiting} row=${row} onSettled=${settled} />
      </div>`)}
    </section>
    <section aria-labelledby="sessions-title">
      <h2 id="sessions-title">${deleted ? "Deleted sessions" : "Sessions"} <span class="count">${sessions.total ?? ""}</span></h2>
      <div class="actions"><button onClick=${begin}>New session</button><button aria-pressed=${deleted} onClick=${() => setDeleted(!deleted)}>${deleted ? "Back to sessions" : "Deleted sessions"}</button></div>
      <${WindowedList} label="Sessions" rows=${sessions.rows} height=${56} row=${(row) => html`<div class="session-row">
        ${deleted ? html`<span>${row.title || row.id}</span><button onClick=${() => restore(row.id)}>Restore</button>`
    : html`<a href=${`#/session/${row.id}`}>${row.title || row.id}</a>`}
        <span class="hint">${row.current_agent} · ${row.message_count} messages · ${age(row.last_activity)} ${WAITS[row.status] && html`<strong class=${row.status}>${WAITS[row.status]}</strong>`}</span>
      </div>`} />
    </section>
  </main>`;
}

/** How long ago, in one short word. */
export function age(stamp) {
  const seconds = Math.max(0, (Date.now() - Date.parse(stamp)) / 1000);
  const [unit, size] = [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]].find(([, one]) => seconds >= one) ?? ["s", 1];
  return `${Math.floor(seconds / size)} ${unit} ago`;
}
