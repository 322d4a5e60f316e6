"""Plans over real HTTP: made, approved, carried out in order, over pauses and a restart (docs/scenarios.md S19-S24)."""

from __future__ import annotations

import json
import sqlite3
from typing import Any

import psycopg
import pytest

from tests.graph.conftest import Serve
from tests.ide import Ide, final_kinds, only
from tests.openai_stub import OpenAIStub
from tests.running import api_client, running_server

COMPLEX = {"is_atomic": False, "agent": "plan", "confidence": "high", "reason": "complex"}


@pytest.fixture(autouse=True)
def _complex(stub: OpenAIStub) -> None:
    stub.classify = dict(COMPLEX)


def subtask(description: str, *dependencies: int, agent: str = "coder") -> dict[str, Any]:
    found = {"title": description, "description": description, "agent": agent, "estimated_time_minutes": 5}
    return {**found, "dependencies": list(dependencies)}


def create_plan(*subtasks: dict[str, Any], call_id: str = "call_p") -> dict[str, Any]:
    args = {"title": "Login", "description": "A login app", "subtasks": list(subtasks)}
    return {"tool": "create_plan", "args": args, "id": call_id}


def done(result: str) -> dict[str, Any]:
    return {"tool": "attempt_completion", "args": {"result": result}}


def write(path: str) -> dict[str, Any]:
    return {"tool": "write_file", "args": {"path": path, "content": "x"}, "id": f"call_{path}"}


def stored_plans(db_url: str) -> list[tuple[int, str, dict[str, Any]]]:
    """Version, status and summary of every plan."""
    query = "select version, status, summary from plans order by version"
    if db_url.startswith("sqlite"):
        with sqlite3.connect(db_url.removeprefix("sqlite:///")) as connection:
            return [(v, s, json.loads(summary)) for v, s, summary in connection.execute(query)]
    with psycopg.connect(db_url) as pg:
        return [
            (v, s, summary if isinstance(summary, dict) else json.loads(summary)) for v, s, summary in pg.execute(query)
        ]


def stages(summary: dict[str, Any]) -> list[str]:
    return [s["status"] for s in summary["subtasks"]]


def seen(stub: OpenAIStub, call: int = -1) -> str:
    """What the model read in one of its calls."""
    requests = [r["body"] for r in stub.requests if not r["is_classifier"]]
    return "\n".join(str(m.get("content")) for m in requests[call]["messages"])


@pytest.mark.parametrize(
    "tasks",
    [
        pytest.param([subtask("Model"), subtask("Store", 0), subtask("Screen", 0, 1)], id="three"),
        pytest.param(
            [subtask("Screen", 2, 3), subtask("Model"), subtask("Store", 1), subtask("Form", 1)], id="diamond"
        ),
    ],
)
def test_a_plan_survives_a_restart_in_the_middle(db_url: str, stub: OpenAIStub, tasks: list[dict[str, Any]]) -> None:
    settings = {"db_url": db_url, "llm_model": "scripted", "llm_proxy_url": stub.url, "llm_max_retries": 0}
    order = ["Model", "Store", "Form", "Screen"] if len(tasks) == 4 else ["Model", "Store", "Screen"]
    stub.script([create_plan(*tasks), write("model.dart")])
    with running_server(**settings) as url, api_client(url) as client:
        ide = Ide.opened(client)
        chunks = ide.approve_plan(ide.say("Create a login app"))
        assert final_kinds(chunks) == ["status", "status", "tool_call", "done"]
        assert stages(stored_plans(db_url)[0][2]).count("running") == 1
    stub.add(done("Model is in model.dart"), write("store.dart"))
    with running_server(**settings) as url, api_client(url) as client:
        ide.client = client
        chunks = ide.result("call_model.dart", {"success": True})
        assert final_kinds(chunks) == ["assistant_message", "subtask_completed", "status", "tool_call", "done"]
        assert "Model is in model.dart" in seen(stub)
    rest = [done(f"{name} done") for name in order[2:]]
    stub.add(done("Store is in store.dart"), *rest)
    with running_server(**settings) as url, api_client(url) as client:
        ide.client = client
        chunks = ide.result("call_store.dart", {"success": True})
    assert final_kinds(chunks)[-2:] == ["execution_completed", "done"]
    finished = only(chunks, "execution_completed")["metadata"]
    assert (finished["status"], finished["progress"]) == ("completed", f"{len(tasks)}/{len(tasks)}")
    told = [c["metadata"]["result"]["content"] for c in chunks if c["type"] == "subtask_completed"]
    assert told == ["Store is in store.dart", *(f"{name} done" for name in order[2:])]
    assert stub.left == 0
    last = seen(stub)
    assert "Your step, and nothing beyond it: Screen" in last
    assert "Store is in store.dart" in last
    assert ("Form done" in last) == (len(tasks) == 4)
    assert "create_plan" not in {t["function"]["name"] for t in stub.last_agent_request["tools"]}
    assert [m["role"] for m in stub.last_agent_request["messages"]] == ["system", "user"]
    [(version, status, summary)] = stored_plans(db_url)
    assert (version, status, set(stages(summary))) == (1, "completed", {"completed"})
    assert not stub.violations


def test_a_subtask_reads_only_what_it_depends_on(serve: Serve, stub: OpenAIStub) -> None:
    stub.script(
        [create_plan(subtask("Left"), subtask("Right"), subtask("Join", 1)), done("LEFT!"), done("RIGHT!"), done("ok")]
    )
    ide = Ide.opened(serve())
    ide.approve_plan(ide.say("Create a login app"))
    assert "RIGHT!" in seen(stub)
    assert "LEFT!" not in seen(stub)
    assert "LEFT!" not in seen(stub, -2)
    assert "Goal of the whole plan: Login" in seen(stub)


@pytest.mark.parametrize(
    ("tasks", "problem"),
    [
        ([subtask("a", 1), subtask("b", 0)], "form a cycle"),
        ([subtask("a", 0)], "subtask 0 depends on itself"),
        ([subtask("a"), subtask("b", 7)], "subtask 1 depends on subtask 7"),
        ([subtask("a", agent="architect")], "do not fit the tool"),
        ([subtask("a", agent="nobody")], "do not fit the tool"),
        ([subtask("a", -1)], "do not fit the tool"),
        ([], "do not fit the tool"),
    ],
)
def test_an_invalid_plan_goes_back_to_the_model(
    serve: Serve, stub: OpenAIStub, tasks: list[dict[str, Any]], problem: str
) -> None:
    stub.script([create_plan(*tasks, call_id="call_1"), create_plan(subtask("a"), call_id="call_2")])
    chunks = Ide.opened(serve()).say("Create a login app")
    assert final_kinds(chunks) == ["agent_switched", "plan_created", "plan_approval_required", "done"]
    assert problem in seen(stub)
    assert not stub.violations


def test_a_model_that_repeats_an_invalid_plan_ends(serve: Serve, stub: OpenAIStub) -> None:
    stub.script([create_plan(subtask("a", 0), call_id="")] * 20)
    ide = Ide.opened(serve())
    chunks = ide.say("Create a login app")
    assert only(chunks, "error")["metadata"]["code"] == "limit_reached"
    assert ide.status() == "idle"


def test_a_failed_subtask_ends_the_plan_and_going_on_repeats_nothing(
    serve: Serve, stub: OpenAIStub, tmp_path: Any
) -> None:
    stub.script(
        [
            create_plan(subtask("Model"), subtask("Store", 0), subtask("Screen", 1)),
            done("in model.dart"),
            {"status": 500},
        ]
    )
    ide = Ide.opened(serve())
    chunks = ide.approve_plan(ide.say("Create a login app"))
    assert final_kinds(chunks)[-3:] == ["error", "execution_completed", "done"]
    ended = only(chunks, "execution_completed")
    assert (ended["metadata"]["status"], ended["content"]) == ("failed", "Plan execution failed")
    [(_, status, summary)] = stored_plans(f"sqlite:///{tmp_path}/test.db")
    assert (status, stages(summary)) == ("failed", ["completed", "failed", "skipped"])
    stub.script([create_plan(subtask("Store"), subtask("Screen", 0), call_id="call_2")])
    chunks = ide.say("go on please")
    assert final_kinds(chunks) == ["agent_switched", "plan_created", "plan_approval_required", "done"]
    note = seen(stub)
    assert "1. [completed] Model Result: in model.dart" in note
    assert "2. [failed] Store" in note
    assert "3. [not started] Screen" in note
    assert all("Note of the runtime" not in m["content"] for m in ide.history())
    plans = stored_plans(f"sqlite:///{tmp_path}/test.db")
    assert [(v, s) for v, s, _ in plans] == [(1, "failed"), (2, "draft")]


def test_a_message_in_the_middle_cancels_the_plan_and_leaves_a_note(
    serve: Serve, stub: OpenAIStub, tmp_path: Any
) -> None:
    stub.script([create_plan(subtask("Model"), subtask("Store", 0)), done("in model.dart"), write("s.dart")])
    ide = Ide.opened(serve())
    assert final_kinds(ide.approve_plan(ide.say("Create a login app")))[-2:] == ["tool_call", "done"]
    stub.script([{"text": "Which part is left?"}])
    chunks = ide.say("wait, use another name")
    assert final_kinds(chunks) == ["agent_switched", "assistant_message", "done"]
    roles = [m["role"] for m in stub.last_agent_request["messages"]]
    assert roles[-2:] == ["assistant", "user"]
    assert "1. [completed] Model Result: in model.dart\n2. [interrupted] Store" in seen(stub)
    assert stub.last_agent_request["messages"][-1]["content"].endswith("\n\nwait, use another name")
    [(_, status, summary)] = stored_plans(f"sqlite:///{tmp_path}/test.db")
    assert (status, stages(summary)) == ("cancelled", ["completed", "failed"])
    assert not stub.violations


def test_a_rejected_call_and_a_question_do_not_end_a_subtask(serve: Serve, stub: OpenAIStub) -> None:
    question = {"question": "Which name?", "suggestions": ["a", "b"]}
    stub.script(
        [
            create_plan(subtask("Model"), subtask("Store", 0)),
            write("m.dart"),
            {"tool": "ask_followup_question", "args": question, "id": "call_q"},
            done("named b"),
            done("stored"),
        ]
    )
    ide = Ide.opened(serve())
    ide.approve_plan(ide.say("Create a login app"))
    chunks = ide.send({"type": "hitl_decision", "call_id": "call_m.dart", "decision": "reject", "feedback": "no"})
    assert only(chunks, "done")["metadata"]["outcome"] == "awaiting_answer"
    chunks = ide.say("b")
    assert final_kinds(chunks) == [
        "assistant_message",
        "subtask_completed",
        "status",
        "assistant_message",
        "subtask_completed",
        "execution_completed",
        "done",
    ]
    assert only(chunks, "execution_completed")["metadata"]["status"] == "completed"


def test_a_limit_inside_a_subtask_fails_the_plan(serve: Serve, stub: OpenAIStub) -> None:
    reads = [{"tool": "read_file", "args": {"path": f"../{n}"}} for n in range(10)]
    stub.script([create_plan(subtask("Model"), subtask("Store", 0)), *reads])
    ide = Ide.opened(serve(max_model_calls_per_turn=5))
    chunks = ide.approve_plan(ide.say("Create a login app"))
    assert only(chunks, "error")["metadata"]["code"] == "limit_reached"
    assert only(chunks, "execution_completed")["metadata"]["status"] == "failed"
    assert ide.status() == "idle"


def test_a_modified_plan_replaces_the_old_one(serve: Serve, stub: OpenAIStub, tmp_path: Any) -> None:
    stub.script(
        [
            create_plan(subtask("a")),
            create_plan(subtask("a"), subtask("tests", 0), call_id="call_2"),
            done("x"),
            done("y"),
        ]
    )
    ide = Ide.opened(serve())
    first = only(ide.say("Create a login app"), "plan_approval_required")
    chunks = ide.decide_plan(first["approval_request_id"], "modify", feedback="add tests")
    assert final_kinds(chunks) == [
        "status", "plan_modification_requested", "plan_created", "plan_approval_required", "done",
    ]  # fmt: skip
    assert only(chunks, "plan_created")["metadata"]["replaces"] == first["plan_id"]
    assert final_kinds(ide.approve_plan(chunks))[-2:] == ["execution_completed", "done"]
    plans = stored_plans(f"sqlite:///{tmp_path}/test.db")
    assert [(v, s) for v, s, _ in plans] == [(1, "superseded"), (2, "completed")]


def test_an_architect_that_answers_a_modification_just_answers(serve: Serve, stub: OpenAIStub) -> None:
    stub.script([create_plan(subtask("a")), {"text": "Tests are part of it already."}])
    ide = Ide.opened(serve())
    first = only(ide.say("Create a login app"), "plan_approval_required")
    chunks = ide.decide_plan(first["approval_request_id"], "modify", feedback="add tests")
    assert final_kinds(chunks) == ["status", "plan_modification_requested", "assistant_message", "done"]
    assert stub.left == 0
