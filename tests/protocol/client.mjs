// A small client, written from docs/protocol.md alone: node client.mjs URL KEY FOLDER VERSION "request"
// It prints one JSON line per chunk and ends when the turn has ended and nothing is waited for.
import { mkdir, readFile, readdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";

const [url, key, folder, version, request] = process.argv.slice(2);
const headers = { "Content-Type": "application/json", "X-Internal-Auth": key };
let session = null;

async function send(message) {
  const body = { protocol_version: Number(version), message };
  if (session) body.session_id = session;
  const reply = await fetch(`${url}/agent/message/stream`, { method: "POST", headers, body: JSON.stringify(body) });
  if (!reply.ok) throw new Error(`${reply.status}: ${await reply.text()}`);
  const chunks = [];
  let rest = "";
  const decoder = new TextDecoder();
  for await (const bytes of reply.body) {
    rest += decoder.decode(bytes, { stream: true });
    const lines = rest.split("\n");
    rest = lines.pop();
    for (const line of lines) {
      if (!line.startsWith("data: ")) continue;
      const chunk = JSON.parse(line.slice("data: ".length));
      console.log(JSON.stringify(chunk));
      if (chunk.type === "session_info") session = chunk.session_id;
      chunks.push(chunk);
    }
  }
  return chunks;
}

const tools = {
  async read_file({ path, start_line = 1, end_line = Infinity }) {
    const lines = (await readFile(join(folder, path), "utf8")).split("\n").slice(start_line - 1, end_line);
    return { success: true, content: lines.join("\n"), lines_read: lines.length };
  },
  async write_file({ path, content, create_dirs = false }) {
    if (create_dirs) await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), content);
    return { success: true, bytes_written: Buffer.byteLength(content) };
  },
  async list_files({ path }) {
    const found = await readdir(join(folder, path), { withFileTypes: true });
    const items = found.map((entry) => ({
      name: entry.name,
      path: join(path, entry.name),
      type: entry.isDirectory() ? "directory" : "file",
    }));
    return { success: true, path, items, total_count: items.length };
  },
};

async function settle(call) {
  if (call.requires_approval) await send({ type: "hitl_decision", call_id: call.call_id, decision: "approve" });
  try {
    const result = await tools[call.tool_name](call.arguments);
    return await send({ type: "tool_result", call_id: call.call_id, result });
  } catch (error) {
    return await send({ type: "tool_result", call_id: call.call_id, error: String(error.message) });
  }
}

let chunks = await send({ type: "user_message", content: request });
for (let rounds = 0; rounds < 20; rounds += 1) {
  const calls = chunks.filter((chunk) => chunk.type === "tool_call");
  if (calls.length === 0) break;
  for (const call of calls) chunks = await settle(call);
}
