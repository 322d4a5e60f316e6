"""The CPU of one turn through the chat model client, of two checkouts in turn: `--before PATH [--rounds N]`.

Each round plays the same turns with both trees, in a process each; the ratio is the median over rounds. Without
`--before` only this tree is measured. A turn: system prompt, 21 messages, the tools, an answer in 50 pieces.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import statistics
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

ROOT = Path(__file__).parent.parent
TURNS, WARM_UP = 200, 20


def _body() -> bytes:
    def event(delta: dict[str, object], finish: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        return b"data: " + json.dumps({"id": "x", "model": "m", "choices": [choice]}).encode() + b"\n\n"

    usage = {"choices": [], "usage": {"prompt_tokens": 900, "completion_tokens": 50, "total_tokens": 950}}
    words = b"".join(event({"content": f"word{number} "}) for number in range(50))
    return words + event({}, "stop") + b"data: " + json.dumps(usage).encode() + b"\n\ndata: [DONE]\n\n"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    body = _body()

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Content-Length", str(len(self.body)))
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, format: str, *args: object) -> None:
        pass


async def _play(url: str) -> None:
    """Play turns with the tree in the current folder; print CPU milliseconds per turn and peak MiB."""
    sys.path.insert(0, ".")
    from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage

    import llm.chat_model as chat_model
    from tools.catalog import TOOLS

    if hasattr(chat_model, "Endpoint"):
        models = chat_model.Models(model="m", endpoint=chat_model.Endpoint(url))
    else:
        models = chat_model.Models(model="m", proxy_url=url)
    history = [SystemMessage("You are an agent. " * 100)]
    for number in range(5):
        call = {
            "id": f"call_{number}",
            "name": "read_file",
            "args": {"path": f"lib/{number}.dart"},
            "type": "tool_call",
        }
        history += [HumanMessage(f"request {number}"), AIMessage("", tool_calls=[call])]
        history += [ToolMessage("text " * 100, tool_call_id=f"call_{number}"), AIMessage("An answer.")]
    history.append(HumanMessage("go on"))
    tools = [tool for tool in TOOLS if getattr(tool, "agent_argument", None) is None]
    for _ in range(WARM_UP):
        await models.reply(history, tools=tools, on_text=lambda _: None)
    before = resource.getrusage(resource.RUSAGE_SELF)
    for _ in range(TURNS):
        await models.reply(history, tools=tools, on_text=lambda _: None)
    after = resource.getrusage(resource.RUSAGE_SELF)
    await models.aclose()
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(json.dumps({"ms": cpu_s * 1000 / TURNS, "mib": after.ru_maxrss / 1024}))


def _measure(tree: Path, url: str) -> dict[str, float]:
    command = [sys.executable, "-W", "ignore", str(Path(__file__).resolve()), "--play", url]
    done = subprocess.run(command, cwd=tree, capture_output=True, text=True, timeout=300, check=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    """Measure and print one line per tree, and the ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--before", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--play")
    options = parser.parse_args()
    if options.play:
        asyncio.run(_play(options.play))
        return
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_address[1]}"
    trees = {"before": options.before, "now": ROOT} if options.before else {"now": ROOT}
    rounds = [{name: _measure(tree, url) for name, tree in trees.items()} for _ in range(options.rounds)]
    for name in trees:
        ms, mib = (statistics.median(found[name][key] for found in rounds) for key in ("ms", "mib"))
        print(f"{name:7} {ms:6.2f} ms of CPU a turn, {mib:5.0f} MiB at most")
    if options.before:
        ratio = statistics.median(found["now"]["ms"] / found["before"]["ms"] for found in rounds)
        print(f"now / before: {ratio:.2f} (median of {options.rounds} rounds)")
    server.shutdown()


if __name__ == "__main__":
    main()
