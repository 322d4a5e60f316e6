// The page: login, the address after the # decides what is shown.
import { render } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { call, get, onLoggedOut } from "./api.js";
import { html } from "./html.js";
import { Inbox } from "./inbox.js";
import { Metrics } from "./metrics.js";
import { Policy } from "./policy.js";
import { Session } from "./session.js";

const LINKS = { "#/": "Inbox", "#/policy": "Policy", "#/metrics": "Metrics" };

function Login({ onLogin }) {
  const [problem, setProblem] = useState("");
  const key = useRef(null);
  const user = useRef(null);
  const submit = async (event) => {
    event.preventDefault();
    try {
      onLogin(await call("POST", "/console/login", { key: key.current.value, end_user: user.current.value.trim() }));
    } catch (error) {
      setProblem(error.status === 401 ? "The server does not accept this key." : error.message);
    }
  };
  return html`<main class="login"><h1>Agent console</h1>
    <form class="stack" onSubmit=${submit}>
      <label>Key <input type="password" autocomplete="current-password" required ref=${key} /></label>
      <label>User <span class="hint">of a gateway; empty for the key's own sessions</span> <input autocomplete="username" ref=${user} /></label>
      <div class="actions"><button class="yes">Log in</button></div>
      <p role="alert" class="problem">${problem}</p>
    </form></main>`;
}

function App() {
  const [state, setState] = useState(undefined);
  const [place, setPlace] = useState(location.hash || "#/");
  useEffect(() => {
    const moved = () => setPlace(location.hash || "#/");
    addEventListener("hashchange", moved);
    const forget = onLoggedOut(() => setState(null));
    const given = new URLSearchParams(location.hash.slice(1)).get("key");
    if (given) history.replaceState(null, "", "/console#/"); // the key stays in no history
    (given ? call("POST", "/console/login", { key: given }).finally(moved) : get("/console/state")).then(setState, () => setState(null));
    return () => { removeEventListener("hashchange", moved); forget(); };
  }, []);
  if (state === undefined) return html`<main><p role="status">Loading …</p></main>`;
  if (state === null) return html`<${Login} onLogin=${setState} />`;
  const logOut = async (everywhere) => {
    await call("POST", "/console/logout", { everywhere });
    setState(null);
  };
  const [, view, id] = place.split("/");
  const shown = { session: html`<${Session} key=${id} id=${id} state=${state} />`, policy: html`<${Policy} />`, metrics: html`<${Metrics} />` }[view] ?? html`<${Inbox} state=${state} />`;
  return html`<a class="skip" href="#main" onClick=${(event) => { event.preventDefault(); document.querySelector("main")?.querySelector("button, a, [tabindex]")?.focus(); }}>Skip to the content</a>
    <header class="top"><nav aria-label="Console">${Object.entries(LINKS).map(([href, label]) => html`<a href=${href} aria-current=${place === href ? "page" : null}>${label}</a>`)}</nav>
      <p class="hint">${state.workspace ? html`runs tools in <code>${state.workspace.folder}</code>` : "watches and decides, runs nothing"}</p>
      <div class="actions"><button onClick=${() => logOut(false)}>Log out</button><button onClick=${() => logOut(true)}>Log out everywhere</button></div></header>
    ${shown}`;
}

render(html`<${App} />`, document.getElementById("app"));
