// The timeline of a session: its log and its messages in one order, and the view at any moment of it.
import { follow, get } from "./api.js";
import { EMPTY, fold } from "./fold.js";

const EVERY = 500;
const LOCAL_TOOLS = new Set(["echo", "calculator"]);
const PAGE = 1000;

/**
 * Put messages among the events: the user's words where they were said, calls that ran in the server, and what lies
 * before the log (an import, a fork, a log that was trimmed).
 * @param {{seq: number, chunk: object}[]} events @param {object[]} messages rows of GET …/messages
 */
export function merge(events, messages) {
  const first = events.length ? events[0].seq : 0; // while the log is not known, only what was never in it lies before
  const shown = messages.filter((message) => {
    const isBefore = message.after_seq === null || message.after_seq < first - 1;
    return message.role === "user" || isBefore || LOCAL_TOOLS.has(message.name);
  });
  const placed = shown.map((message) => ({
    seq: message.after_seq ?? 0, position: message.position,
    message: message.role === "tool" && LOCAL_TOOLS.has(message.name) ? { ...message, local: true } : message,
  }));
  const merged = [...placed, ...events];
  return merged.sort((a, b) => a.seq - b.seq || (a.chunk ? 0 : 1) - (b.chunk ? 0 : 1) || (a.position ?? 0) - (b.position ?? 0));
}

/** The entries of a session with snapshots of the fold, so that any moment is near one. */
export class Timeline {
  constructor(entries = []) {
    this.entries = [];
    this.snapshots = [EMPTY];
    this.latest = EMPTY;
    entries.forEach((entry) => this.push(entry));
  }

  push(entry) {
    this.entries.push(entry);
    this.latest = fold(this.latest, entry);
    if (this.entries.length % EVERY === 0) this.snapshots.push(this.latest);
  }

  /** The view after so many entries. */
  at(count) {
    if (count >= this.entries.length) return this.latest;
    const near = Math.floor(count / EVERY);
    return this.entries.slice(near * EVERY, count).reduce(fold, this.snapshots[near]);
  }
}

/** The messages behind those that are known; the history only grows. */
async function loadMessages(sessionId, known) {
  let found = known;
  for (let total = found.length + 1; found.length < total;) {
    const page = await get(`/sessions/${sessionId}/messages?limit=${PAGE}&offset=${found.length}`);
    found = [...found, ...page.messages];
    total = page.messages.length ? page.total : found.length;
  }
  return found;
}

/**
 * Follow a session: `onChange(timeline)` after each bunch. The log is the order; new messages are read when a run
 * begins or ends, because a user's words may have come from another client.
 */
export function watch(sessionId, onChange, onState, signal) {
  const events = [];
  let messages = [];
  let timeline = new Timeline();
  const rebuild = async () => {
    messages = await loadMessages(sessionId, messages);
    timeline = new Timeline(merge(events, messages));
    if (!signal.aborted) onChange(timeline);
  };
  const take = (bunch) => {
    const ends = (event) => !event || event.chunk.type === "done";
    const isFirst = events.length === 0;
    const begins = ends(events[events.length - 1]);
    for (const event of bunch) {
      if (events.length && event.seq <= events[events.length - 1].seq && event.chunk.metadata?.status !== "resync") continue;
      events.push(event);
      if (!isFirst) timeline.push(event);
    }
    if (isFirst) timeline = new Timeline(merge(events, messages)); // only now it is known where the log begins
    if (begins || bunch.some(ends)) rebuild().catch(() => onChange(timeline));
    else onChange(timeline);
  };
  const load = rebuild().catch((error) => onState(error.message));
  load.then(() => follow((after) => `/sessions/${sessionId}/stream?after=${after}`, 0, take, signal, onState));
  return { refresh: () => rebuild().catch(() => {}) };
}
