"""Plays a golden scenario against the real server and compares every chunk (tests/scenarios/README.md)."""

from __future__ import annotations

import json
import re
import uuid
from typing import Any

import httpx

from tests.ide import post
from tests.openai_stub import OpenAIStub
from wire.protocol import Chunk

FIELDS = list(Chunk.model_fields)


class Scenario:
    """One session of a scenario file."""

    def __init__(self, script: dict[str, Any], client: httpx.Client, stub: OpenAIStub) -> None:
        self.script = script
        self.client = client
        self.stub = stub
        self.bound: dict[str, Any] = {}

    def play(self) -> None:
        """Run all steps in order."""
        self.stub.classify = self.script.get("classify", self.stub.classify)
        self.stub.script(self.script["llm"])
        match self.script["session"]:
            case "exists":
                self.bound["$sid"] = self.client.post("/sessions", json={}).json()["id"]
            case "unknown_id":
                self.bound["$sid"] = str(uuid.uuid4())
        for number, step in enumerate(self.script["steps"], start=1):
            where = f"{self.script['name']}, step {number}"
            if "classify" in step:
                self.stub.classify = step["classify"]
            calls = (self.stub.agent_calls, self.stub.classifier_calls)
            if "get" in step:
                response = self.client.get(self._filled(step["get"]))
                self._check_http(step["expect_http"], response, where)
            else:
                self._send(step, where)
            self._check_calls(step, calls, where)
            self._check_open(where)

    def post(self, body: dict[str, Any]) -> tuple[httpx.Response, list[dict[str, Any]]]:
        """Send one message."""
        return post(self.client, body)

    def _send(self, step: dict[str, Any], where: str) -> None:
        body = {"message": self._filled(step["send"])}
        if "$sid" in self.bound:
            body["session_id"] = self.bound["$sid"]
        if "protocol_version" in self.script:
            body["protocol_version"] = self.script["protocol_version"]
        response, chunks = self.post(body)
        if "expect_http" in step:
            self._check_http(step["expect_http"], response, where)
            return
        if "expect_refusal" in step:
            self._check_refusal(step["expect_refusal"], response, chunks, where)
            return
        assert response.status_code == 200, f"{where}: {response.status_code} {response.text}"
        self._check_chunks(step["expect"], chunks, where)

    def _check_chunks(self, expected: list[dict[str, Any]], chunks: list[dict[str, Any]], where: str) -> None:
        told = "\n".join(json.dumps(chunk, ensure_ascii=False)[:600] for chunk in chunks)
        for chunk in chunks:
            assert list(chunk) == FIELDS, f"{where}: fields of {chunk}"
        left = list(chunks)
        for wanted in expected:
            assert left, f"{where}: {wanted} is missing in\n{told}"
            subset = {key: value for key, value in wanted.items() if key != "repeat"}
            problem = self._differs(subset, left[0])
            assert not problem, f"{where}: {problem} in\n{told}"
            left.pop(0)
            while wanted.get("repeat") and left and not self._differs(subset, left[0]):
                left.pop(0)
        assert not left, f"{where}: unexpected {left} in\n{told}"

    def _check_http(self, expected: dict[str, Any], response: httpx.Response, where: str) -> None:
        assert response.status_code == expected["status"], f"{where}: {response.status_code} {response.text[:500]}"
        body = response.json()
        for key in ("detail", "code"):
            if key in expected:
                assert body[key] == self._filled(expected[key]), f"{where}: {body}"
        if "body" in expected:
            problem = self._differs(expected["body"], body)
            assert not problem, f"{where}: {problem} in {json.dumps(body, ensure_ascii=False)[:2000]}"

    def _check_refusal(
        self, expected: dict[str, Any], response: httpx.Response, chunks: list[dict[str, Any]], where: str
    ) -> None:
        """A refusal about the state of a session: HTTP in version 2, one `error` chunk in version 1."""
        if self.script.get("protocol_version", 1) > 1:
            self._check_http(expected, response, where)
            return
        assert response.status_code == 200, f"{where}: {response.status_code} {response.text[:500]}"
        sentence = self._filled(expected.get("detail"))
        detail = {"content": sentence, "error": sentence} if sentence else {}
        self._check_chunks([{"type": "error", "metadata": {"code": expected["code"]}, **detail}], chunks, where)

    def _check_calls(self, step: dict[str, Any], before: tuple[int, int], where: str) -> None:
        made = self.stub.agent_calls - before[0], self.stub.classifier_calls - before[1]
        if "llm_calls" in step:
            assert made[0] == step["llm_calls"], f"{where}: {made[0]} model calls"
        if "classifier_calls" in step:
            assert made[1] == step["classifier_calls"], f"{where}: {made[1]} classifier calls"
        if "llm_saw" in step:
            request = self.stub.last_agent_request
            seen = "\n".join(str(m.get("content")) for m in request["messages"])
            for text in step["llm_saw"]:
                assert text in seen, f"{where}: the model did not read {text!r} in\n{seen}"
        assert not self.stub.violations, f"{where}: {self.stub.violations}"

    def _check_open(self, where: str) -> None:
        """No open approval without an open call: each can be found by its id, and the list agrees with the status."""
        if "$sid" not in self.bound:
            return
        response = self.client.get(f"/sessions/{self.bound['$sid']}/pending-approvals")
        if response.status_code == 404:
            return
        pending = response.json()
        rows = self.client.get("/sessions").json()["sessions"]
        status = next(row["status"] for row in rows if row["id"] == self.bound["$sid"])
        waits = status in ("awaiting_approval", "awaiting_plan")
        assert waits == bool(pending["count"]), f"{where}: status {status} with {pending}"

    def _filled(self, value: Any) -> Any:
        """Put bound names in."""
        if isinstance(value, str):
            return re.sub(r"\$[a-z]+\d*", lambda m: str(self._value(m[0])), value)
        if isinstance(value, dict):
            return {key: self._filled(item) for key, item in value.items()}
        return [self._filled(item) for item in value] if isinstance(value, list) else value

    def _value(self, name: str) -> Any:
        plan = re.fullmatch(r"\$plan(\d+)", name)
        if plan and f"$planid{plan[1]}" in self.bound:
            return f"plan-approval-{self.bound[f'$planid{plan[1]}']}"
        return self.bound.get(name, name)

    def _differs(self, expected: Any, actual: Any, path: str = "") -> str | None:
        """Say where `actual` does not contain `expected`; None when it does."""
        if isinstance(expected, dict):
            if not isinstance(actual, dict):
                return f"{path}: {actual!r} is no object"
            for key, value in expected.items():
                if key == "entries_contain":
                    rows = actual["entries"]
                    missing = [w for w in value if all(self._differs(w, row) for row in rows)]
                    if missing:
                        return f"{path}: no entry like {missing[0]}"
                    continue
                if key not in actual:
                    return f"{path}.{key} is missing"
                problem = self._differs(value, actual[key], f"{path}.{key}")
                if problem:
                    return problem
            return None
        if isinstance(expected, list):
            if not isinstance(actual, list) or len(actual) != len(expected):
                return f"{path}: {actual!r} has not {len(expected)} elements"
            problems = (
                self._differs(e, a, f"{path}[{i}]") for i, (e, a) in enumerate(zip(expected, actual, strict=True))
            )
            return next((p for p in problems if p), None)
        if isinstance(expected, str) and re.fullmatch(r"\$[a-z]+\d*", expected):
            known = self._value(expected)
            if known == expected:
                self.bound[expected] = known = actual
            return None if actual == known else f"{path}: {actual!r} is not {known!r}"
        if isinstance(expected, str) and expected.startswith("{") and isinstance(actual, str):
            return None if json.loads(expected) == json.loads(actual) else f"{path}: {actual!r} is not {expected!r}"
        return None if expected == actual else f"{path}: {actual!r} is not {expected!r}"
