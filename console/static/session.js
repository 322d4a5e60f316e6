// One session: conversation, what waits, graph and time, and what stands behind each step.
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { call, get, send } from "./api.js";
import { Conversation, counted } from "./conversation.js";
import { Waiting } from "./decide.js";
import { Graph } from "./graph.js";
import { html } from "./html.js";
import { Timeline, watch } from "./timeline.js";
import { Behind } from "./why.js";

const PENDING = new Set(["awaiting_approval", "awaiting_plan", "awaiting_answer"]);

export function Session({ id, state }) {
  const [about, setAbout] = useState(null);
  const [agents, setAgents] = useState([]);
  const [agent, setAgent] = useState("agent");
  const [timeline, setTimeline] = useState(() => ({ timeline: new Timeline(), version: 0 }));
  const [moment, setMoment] = useState(null);
  const [connection, setConnection] = useState("connecting");
  const [waiting, setWaiting] = useState([]);
  const [told, setTold] = useState("");
  const watching = useRef(null);
  const live = timeline.timeline.latest;
  const end = useRef(null);
  useFollowed(end, [timeline, waiting, moment]);
  const view = moment === null ? live : timeline.timeline.at(moment);
  useEffect(() => {
    const ended = new AbortController();
    let version = 0;
    get(`/sessions/${id}`).then((found) => setAbout(found.session), (error) => setTold(error.message));
    get("/agents").then((found) => setAgents(found.agents), () => {});
    watching.current = watch(id, (changed) => setTimeline({ timeline: changed, version: (version += 1) }), setConnection, ended.signal);
    return () => ended.abort();
  }, [id]);
  useEffect(() => {
    if (!PENDING.has(live.outcome) && !waiting.length) return;
    get("/pending?limit=1000").then((found) => setWaiting(found.pending.filter((row) => row.session_id === id)), () => {});
  }, [id, live.seq, live.outcome]);
  useEffect(() => {
    get(`/agents/${id}/current`).then((found) => setAgent(found.context.current_agent), () => {});
  }, [id, live.outcome]);
  const attempt = async (doing) => {
    setTold("");
    try {
      await doing();
    } catch (error) {
      setTold(error.message);
    }
  };
  const fork = (item) => attempt(async () => {
    const made = await call("POST", `/sessions/${id}/fork`, item ? { before: item.id } : {});
    location.hash = `#/session/${made.id}`;
  });
  const say = (content, agent) => attempt(async () => {
    const environment = state.workspace?.prefix && id.startsWith(state.workspace.prefix) ? { environment: state.workspace.environment } : {};
    await send(id, { type: "user_message", content, ...(agent ? { agent_type: agent } : {}), ...environment });
    watching.current.refresh();
  });
  if (!about) return html`<main><p role="status">${told || "Loading …"}</p></main>`;
  const entries = timeline.timeline.entries.length;
  return html`<main class="session">
    <section class="talk" aria-label="Session">
      <${Head} about=${about} view=${live} connection=${connection} attempt=${attempt} setAbout=${setAbout} fork=${fork} />
      <p role="status" class="problem">${told}</p>
      <${Conversation} view=${view} agent=${agent} sessionId=${id} onFork=${fork} />
      ${moment === null && waiting.map((row) => html`<${Waiting} key=${row.call_id} row=${row} onSettled=${(settled, sentence) => { setTold(sentence ?? ""); setWaiting(waiting.filter((one) => one !== settled)); watching.current.refresh(); }} />`)}
      <span ref=${end}></span>
      ${moment === null ? html`<${Say} say=${say} agents=${agents} agent=${live.agent ?? agent} id=${id} state=${state} />` : html`<p class="past" role="note">You look at a past moment. <button onClick=${() => setMoment(null)}>Back to now</button></p>`}
    </section>
    <aside class="beside" aria-label="Graph, time and reasons">
      <${Graph} path=${view.path} />
      <div class="time"><label>Time <input type="range" min="0" max=${entries} value=${moment ?? entries} aria-valuetext=${moment === null ? "now" : `event ${moment} of ${entries}`}
        onInput=${(event) => { const at = Number(event.target.value); setMoment(at >= entries ? null : at); }} /></label>
        <output>${moment === null ? `now, ${entries} events` : `event ${moment} of ${entries}`}</output></div>
      <p class="hint usage">Turn ${view.turn} · ${counted(view.usage.llm_calls, "model call")} · ${counted(view.usage.total_tokens, "token")} · agent ${view.agent ?? agent}</p>
      <${Behind} id=${id} version=${live.seq} />
    </aside>
  </main>`;
}

/** Keep the end of the conversation in sight while it grows, unless the reader has scrolled away from it. */
function useFollowed(end, changes) {
  const isNear = useRef(true);
  useEffect(() => {
    const look = () => { isNear.current = !end.current || end.current.getBoundingClientRect().top < innerHeight + 60; };
    addEventListener("scroll", look, { passive: true });
    return () => removeEventListener("scroll", look);
  }, []);
  useLayoutEffect(() => {
    if (isNear.current) end.current?.scrollIntoView({ block: "nearest" });
  }, changes);
}

function Head({ about, view, connection, attempt, setAbout, fork }) {
  const [title, setTitle] = useState(null);
  const path = `/sessions/${about.id}`;
  const rename = (event) => {
    event.preventDefault();
    attempt(async () => {
      const found = await call("PATCH", path, { title });
      setAbout(found.session);
      setTitle(null);
    });
  };
  const remove = () => attempt(async () => {
    await call("DELETE", path);
    location.hash = "#/";
  });
  return html`<header class="head">
    ${title === null ? html`<h1>${about.title || about.id}</h1>`
    : html`<form class="line" onSubmit=${rename}><label>Title <input value=${title} maxlength="500" onInput=${(event) => setTitle(event.target.value)} /></label><button>Save</button></form>`}
    <p class="hint"><span class=${`dot ${connection}`}></span>${connection} · ${(view.outcome ?? "new").replaceAll("_", " ")}</p>
    <div class="actions">
      <button disabled=${view.outcome === "completed" || view.outcome === null} onClick=${() => attempt(() => call("POST", `${path}/cancel`))}>Cancel</button>
      <button onClick=${() => setTitle(title === null ? about.title ?? "" : null)}>Rename</button>
      <button onClick=${() => fork(null)}>Fork</button>
      <button onClick=${remove}>Delete</button>
    </div>
  </header>`;
}

function Say({ say, agents, agent: current, id, state }) {
  const [text, setText] = useState("");
  const [agent, setAgent] = useState("");
  const submit = (event) => {
    event.preventDefault();
    if (!text.trim()) return;
    say(text, agent);
    setText("");
  };
  const runsHere = state.workspace && id.startsWith(state.workspace.prefix);
  return html`<form class="say" onSubmit=${submit}>
    <label>Message <textarea rows="2" value=${text} onInput=${(event) => setText(event.target.value)}
      onKeyDown=${(event) => event.key === "Enter" && (event.ctrlKey || event.metaKey) && submit(event)}></textarea></label>
    <div class="actions"><label>Agent <select value=${agent} onChange=${(event) => setAgent(event.target.value)}><option value="">as it is (${current})</option>
      ${agents.map((one) => html`<option value=${one.type}>${one.name}</option>`)}</select></label>
      <button class="yes">Send <kbd>Ctrl Enter</kbd></button></div>
    <p class="hint">${runsHere ? html`Tool calls of this session run in <code>${state.workspace.folder}</code>.`
    : "This page watches and decides; it runs no tool call of this session: the client that started it does."}</p>
  </form>`;
}
