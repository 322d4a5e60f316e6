// The picture of the graph: the lit nodes, the path of this turn, and how often each edge was taken.
import { EDGES, NODES } from "./path.js";
import { html } from "./html.js";

const HALF = { w: 52, h: 17 };

/** A curve from border to border, bent to one side so that there and back are two lines. */
function curve(from, to) {
  const [a, b] = [NODES[from], NODES[to]];
  if (from === to && a.x > 400) return { d: `M ${a.x + HALF.w} ${a.y - 8} C ${a.x + 84} ${a.y - 24}, ${a.x + 84} ${a.y + 24}, ${a.x + HALF.w} ${a.y + 8}`, x: a.x + 80, y: a.y };
  if (from === to) return { d: `M ${a.x - 16} ${a.y - HALF.h} C ${a.x - 44} ${a.y - 64}, ${a.x + 44} ${a.y - 64}, ${a.x + 16} ${a.y - HALF.h}`, x: a.x, y: a.y - 56 };
  const [dx, dy] = [b.x - a.x, b.y - a.y];
  const length = Math.hypot(dx, dy);
  const bend = { x: (-dy / length) * 16, y: (dx / length) * 16 };
  const mid = { x: (a.x + b.x) / 2 + bend.x, y: (a.y + b.y) / 2 + bend.y };
  const [p, q] = [border(a, mid), border(b, mid)];
  return { d: `M ${p.x} ${p.y} Q ${mid.x} ${mid.y}, ${q.x} ${q.y}`, x: (p.x + q.x) / 4 + mid.x / 2, y: (p.y + q.y) / 4 + mid.y / 2 };
}

/** Where a line from the middle of a node to a point leaves its box. */
function border(node, point) {
  const [dx, dy] = [point.x - node.x, point.y - node.y];
  const scale = Math.min(HALF.w / Math.abs(dx || 1e-9), HALF.h / Math.abs(dy || 1e-9));
  return { x: Math.round(node.x + dx * scale), y: Math.round(node.y + dy * scale) };
}

/** @param {{path: {at: string[], turn: object, total: object}}} props */
export function Graph({ path }) {
  const described = `At ${path.at.map((id) => NODES[id].label).join(" and ")}.`;
  return html`<figure class="graph">
    <svg viewBox="0 0 572 320" role="img" aria-label=${`The agent graph. ${described}`}>
      <defs>
        <marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="6" markerHeight="6" orient="auto"><path d="M0 0 L8 4 L0 8 z" class="tip" /></marker>
      </defs>
      ${EDGES.map(([from, to]) => {
        const id = `${from}>${to}`;
        const line = curve(from, to);
        const count = path.total[id];
        return html`<g key=${id} class=${path.turn[id] ? "edge taken" : "edge"} data-edge=${id} data-count=${count ?? 0}>
          <path d=${line.d} marker-end="url(#arrow)" />
          ${count && html`<text x=${line.x} y=${line.y + 4}>${count}</text>`}
        </g>`;
      })}
      ${Object.entries(NODES).map(([id, node]) => html`<g key=${id} data-node=${id} class=${path.at.includes(id) ? "node lit" : "node"}>
        <rect x=${node.x - HALF.w} y=${node.y - HALF.h} width=${2 * HALF.w} height=${2 * HALF.h} rx=${id.startsWith("__") ? 17 : 6} />
        <text x=${node.x} y=${node.y + 4}>${node.label}</text>
      </g>`)}
    </svg>
    <figcaption>${described} Bold lines are the path of this turn; numbers count the whole session. Derived from the event log.</figcaption>
  </figure>`;
}
