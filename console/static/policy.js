// The policy box: type a call, read the verdict; nothing runs.
import { useEffect, useState } from "preact/hooks";
import { call, get } from "./api.js";
import { html } from "./html.js";
import { Verdict } from "./verdict.js";

const EXAMPLE = "git status && rm -r build";

export function Policy() {
  const [tool, setTool] = useState("execute_command");
  const [agent, setAgent] = useState("coder");
  const [text, setText] = useState(EXAMPLE);
  const [found, setFound] = useState(null);
  const [problem, setProblem] = useState("");
  const [agents, setAgents] = useState([]);
  useEffect(() => { get("/agents").then((answer) => setAgents(answer.agents), () => {}); }, []);
  const tools = agents.find((one) => one.type === agent)?.allowed_tools ?? [tool];
  const check = async (event) => {
    event.preventDefault();
    setProblem("");
    try {
      const given = tool === "execute_command" ? { command: text } : JSON.parse(text);
      const verdict = await call("POST", "/policy/check", { tool, arguments: given, agent, environment: { shell: "bash" } });
      setFound({ verdict, tool, given });
    } catch (error) {
      setFound(null);
      setProblem(error instanceof SyntaxError ? "The arguments are not JSON." : error.message);
    }
  };
  return html`<main class="narrow">
    <h1>What would the policy say?</h1>
    <form class="stack" onSubmit=${check}>
      <label>Tool <select value=${tool} onChange=${(event) => setTool(event.target.value)}>${[...new Set([tool, ...tools])].map((name) => html`<option>${name}</option>`)}</select></label>
      <label>Agent <select value=${agent} onChange=${(event) => setAgent(event.target.value)}>${agents.map((one) => html`<option value=${one.type}>${one.name}</option>`)}</select></label>
      <label>${tool === "execute_command" ? "Command" : "Arguments, as JSON"} <textarea rows="3" value=${text} onInput=${(event) => setText(event.target.value)}></textarea></label>
      <div class="actions"><button class="yes">Check</button></div>
    </form>
    <p role="alert" class="problem">${problem}</p>
    ${found && html`<section aria-label="Verdict"><h2>Verdict: <strong class=${`verdict-${found.verdict.verdict}`}>${found.verdict.verdict}</strong></h2>
      <${Verdict} tool=${found.tool} arguments=${found.given} about=${found.verdict} />
      ${found.verdict.matched.length > 0 && html`<p class="hint">Rules: ${found.verdict.matched.map((rule) => html`<code>${typeof rule === "string" ? rule : rule.id ?? JSON.stringify(rule)}</code> `)}</p>`}</section>`}
  </main>`;
}
