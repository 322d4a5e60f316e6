// The public API, as every client uses it; the cookie of the login goes with each request.

/** A refusal of the server, in words for people. */
export class Refused extends Error {
  /** @param {number} status @param {string} message @param {string} code */
  constructor(status, message, code) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

const listeners = new Set();

/** Be told when the login is over. @param {() => void} listener */
export function onLoggedOut(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** @param {Response} response @returns {Promise<Refused>} */
async function refusal(response) {
  const body = await response.json().catch(() => ({}));
  const detail = typeof body.detail === "string" ? body.detail : body.detail?.[0]?.msg ?? body.error;
  if (response.status === 401) listeners.forEach((listener) => listener());
  return new Refused(response.status, detail ?? `The server answered ${response.status}.`, body.code ?? "");
}

/** Send one request; gives the JSON of its answer, throws Refused. */
export async function call(method, path, body) {
  const headers = body === undefined ? {} : { "Content-Type": "application/json" };
  let response;
  try {
    response = await fetch(path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
  } catch {
    throw new Refused(0, "The server does not answer.", "unreachable");
  }
  if (!response.ok) throw await refusal(response);
  return response.json();
}

export const get = (path) => call("GET", path);

/** Send a message of protocol version 2; its chunks are read from the session's log, so its body is not needed. */
export async function send(sessionId, message) {
  const response = await fetch("/agent/message/stream", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ session_id: sessionId, protocol_version: 2, message }),
  });
  if (!response.ok) throw await refusal(response);
  response.body?.cancel();
}

/** The events of a stream as {seq, chunk}, one by one; ends when the connection does. */
async function* events(path, signal) {
  const response = await fetch(path, { signal, headers: { Accept: "text/event-stream" } });
  if (!response.ok) throw await refusal(response);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const parts = (rest + value).split("\n\n");
    rest = parts.pop();
    for (const part of parts) {
      const fields = Object.fromEntries(part.split("\n").map((line) => [line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 2)]));
      if (fields.data) yield { seq: Number(fields.id ?? 0), chunk: JSON.parse(fields.data) };
    }
  }
}

/**
 * Follow a stream until the signal ends it: while the tab is hidden it is closed, after a cut it is opened again
 * behind the last number. `take` gets the events in bunches, one a frame at most.
 */
export async function follow(pathAfter, after, take, signal, onState = () => {}) {
  let last = after;
  let bunch = [];
  const flush = () => {
    const taken = bunch;
    bunch = [];
    if (taken.length && !signal.aborted) take(taken);
  };
  while (!signal.aborted) {
    if (document.hidden) {
      await once(document, "visibilitychange", signal);
      continue;
    }
    const visible = new AbortController();
    const stop = () => (document.hidden || signal.aborted) && visible.abort();
    document.addEventListener("visibilitychange", stop);
    signal.addEventListener("abort", stop);
    try {
      const stream = events(pathAfter(last), visible.signal);
      onState("live");
      for await (const event of stream) {
        last = Math.max(last, event.seq);
        if (!bunch.length) setTimeout(flush, 16);
        bunch.push(event);
      }
    } catch (error) {
      if (error instanceof Refused && error.status && error.status < 500 && error.status !== 429) {
        flush();
        onState("ended");
        return;
      }
    } finally {
      document.removeEventListener("visibilitychange", stop);
      signal.removeEventListener("abort", stop);
    }
    flush();
    if (!signal.aborted && !document.hidden) {
      onState("reconnecting");
      await new Promise((resolve) => setTimeout(resolve, 1000));
    }
  }
}

function once(target, name, signal) {
  return new Promise((resolve) => {
    target.addEventListener(name, resolve, { once: true });
    signal.addEventListener("abort", resolve, { once: true });
  });
}
