// Where a run is in the graph, derived from what is shown: the lit nodes, the path of this turn, counts per edge.

/** Every edge of the compiled graph; a test compares them with it. */
export const EDGES = [
  ["__start__", "router"], ["__start__", "specialist"], ["router", "specialist"], ["specialist", "router"], ["specialist", "specialist"],
  ["specialist", "local_call"], ["local_call", "specialist"], ["specialist", "ide_call"], ["ide_call", "specialist"],
  ["specialist", "approval"], ["approval", "specialist"], ["specialist", "question"], ["question", "specialist"],
  ["question", "router"], ["router", "question"], ["specialist", "plan_review"], ["plan_review", "specialist"], ["plan_review", "plan_step"],
  ["plan_review", "__end__"], ["specialist", "plan_step"], ["plan_step", "specialist"], ["plan_step", "__end__"],
  ["specialist", "__end__"], ["ide_call", "approval"], ["approval", "ide_call"], ["ide_call", "ide_call"], ["approval", "approval"],
];
/** Where each node stands; a test holds the ids against the compiled graph. */
export const NODES = {
  __start__: { x: 60, y: 34, label: "start" },
  router: { x: 60, y: 130, label: "router" },
  specialist: { x: 270, y: 130, label: "specialist" },
  local_call: { x: 480, y: 34, label: "local call" },
  ide_call: { x: 480, y: 98, label: "IDE call" },
  approval: { x: 480, y: 162, label: "approval" },
  question: { x: 110, y: 226, label: "question" },
  plan_review: { x: 255, y: 226, label: "plan review" },
  plan_step: { x: 385, y: 294, label: "plan step" },
  __end__: { x: 480, y: 232, label: "end" },
};
const KNOWN = new Set(EDGES.map(([from, to]) => `${from}>${to}`));

/** The path of a new turn; the counts of the session go on. */
export function start(before) {
  return { at: ["__start__"], turn: {}, total: before?.total ?? {} };
}

/**
 * Go to a node. `join`: nothing happens when the run is there already. `beside`: another node may be lit too, as in a
 * round of several calls.
 */
export function enter(path, node, how = "") {
  if (how === "join" && path.at.includes(node)) return path;
  const from = how === "beside" ? ["specialist"] : path.at;
  const counted = from.filter((one) => one !== node || KNOWN.has(`${one}>${one}`)).map((one) => `${one}>${node}`);
  const at = how === "beside" ? [...new Set([...path.at, node])] : [node];
  return { at, ...count(path, via(counted, node)) };
}

/** End the turn. */
export function leave(path) {
  return path.at.includes("__end__") ? path : { at: ["__end__"], ...count(path, path.at.map((one) => `${one}>__end__`)) };
}

/** A step without an edge of its own leads through the specialist. */
function via(edges, node) {
  return edges.flatMap((edge) => {
    if (KNOWN.has(edge)) return [edge];
    const [from] = edge.split(">");
    return [...(from === "__start__" ? ["__start__>router"] : []), `${from === "__start__" ? "router" : from}>specialist`, `specialist>${node}`].filter((one) => KNOWN.has(one));
  });
}

function count(path, edges) {
  const turn = { ...path.turn };
  const total = { ...path.total };
  for (const edge of edges.filter((one) => KNOWN.has(one))) {
    turn[edge] = (turn[edge] ?? 0) + 1;
    total[edge] = (total[edge] ?? 0) + 1;
  }
  return { turn, total };
}
