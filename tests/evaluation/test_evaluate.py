"""The evaluation: figures that can be trusted, reports that can be read, recordings that can be played."""

from __future__ import annotations

import json
import os
import subprocess
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from agents.roster import ROSTER
from errors import ConfigurationError
from evaluation.evaluate import EvalOptions, evaluate
from evaluation.recording import Recording
from evaluation.report import markdown, task_figures, write_report
from evaluation.tasks import EDITS, HELD_OUT, TASKS, Task, read_requests, read_tasks
from evaluation.trial import lost_content, run_trial
from llm.chat_model import Endpoint, Models
from tests.client import preloaded
from tests.openai_stub import OpenAIStub

ROOT = Path(__file__).parents[2]
PROMPTS = ROOT / "prompts"
TUNING = ROOT / "evaluation" / "labels" / "tuning.jsonl"
REQUESTS = ROOT / "tests" / "corpora" / "routing_dev.jsonl"
WRITE = Task(name="w", agent="coder", text="write a", tools=frozenset({"write_file"}), contains={"a.txt": "x"})


def stub_models(stub: OpenAIStub) -> Models:
    return Models(model="stub", endpoint=Endpoint(stub.url), max_retries=0)


async def test_the_scripted_model_passes_its_tasks(tmp_path: Path) -> None:
    report = await evaluate(EvalOptions(requests=REQUESTS, limit=20))
    assert report["tasks"]["pass_rate"] == 1
    assert report["tasks"]["wrong_tool_rate"] == 0
    assert report["tasks"]["damaged"] == 0
    assert report["routing"]["requests"] == 20
    assert report["routing"]["methods"] == {"llm": 20}
    data, text, failed = write_report(report, tmp_path / "out")
    assert json.loads(data.read_text(encoding="utf-8")) == report
    assert "| tool call rate | 100.0 %, 95 % interval" in text.read_text(encoding="utf-8")
    assert failed.read_text(encoding="utf-8") == "# Failures of fake-llm\n\nNone.\n"


async def test_keywords_are_measured_without_a_model() -> None:
    found = (await evaluate(EvalOptions(requests=REQUESTS, tasks=None, keywords=True)))["routing"]
    assert found["accuracy"] >= 0.95
    assert found["harm"] == 0
    assert set(found["accuracy_by_language"]) == {"en", "ru"}
    assert sum(sum(row.values()) for row in found["confusion"].values()) == found["requests"] == 80


async def test_a_model_that_only_talks_is_seen_before_and_after_reprompting(stub: OpenAIStub) -> None:
    announced = {"text": "I will create a.txt now."}
    call = {"tool": "write_file", "args": {"path": "a.txt", "content": "x"}}
    models = stub_models(stub)
    stub.script([announced])
    before = await run_trial(WRITE, models, reprompt=False)
    stub.script([announced, call, {"text": "Created."}])
    after = await run_trial(WRITE, models)
    await models.aclose()
    assert (before.called, before.finished, before.implicit) == (False, False, True)
    assert before.problem == "not called: write_file"
    assert (after.called, after.passed, after.reprompted, after.model_calls) == (True, True, 1, 3)


async def test_wrong_tools_failures_and_wrong_ends_are_counted(stub: OpenAIStub) -> None:
    models = stub_models(stub)
    stub.script([{"tool": "execute_command", "args": {"command": "touch a.txt"}}, {"text": "Done."}])
    wrong = await run_trial(WRITE, models)
    stub.script([{"status": 500}])
    failed = await run_trial(WRITE, models)
    question = Task(name="q", agent="coder", text="what is a?", files={"a.txt": "x"}, unchanged=True)
    overwrite = {"tool": "write_file", "args": {"path": "a.txt", "content": "gone"}}
    stub.script([{"tool": "read_file", "args": {"path": "a.txt"}}, overwrite, {"text": "It is a."}])
    harmful = await run_trial(question, models)
    await models.aclose()
    assert (wrong.wrong_calls, wrong.finished, wrong.passed) == (1, True, False)
    assert (failed.error, failed.finished) == ("llm_unavailable", False)
    assert (harmful.wrong_calls, harmful.problem) == (1, "files were changed")


async def test_a_recording_plays_what_was_recorded(tmp_path: Path) -> None:
    file = tmp_path / "replies.jsonl"
    live = await evaluate(EvalOptions(record=file, limit=8))
    replayed = await evaluate(EvalOptions(replay=file, limit=8, model="fake-llm"))
    assert replayed["source"] == "recording replies.jsonl"
    same = ("pass_rate", "tool_call_rate", "model_calls", "prompt_tokens", "completion_tokens")
    assert [replayed["tasks"][name] for name in same] == [live["tasks"][name] for name in same]
    missing = await evaluate(EvalOptions(replay=tmp_path / "nothing.jsonl", limit=1))
    assert missing["tasks"]["rows"][0]["result"] == "llm_unavailable"


@pytest.mark.parametrize(
    ("replies", "result"),
    [
        (
            [
                {"tool": "write_file", "args": '{"path": "a.txt", "content": "x', "truncated": True},
                {"text": "y\n"},
                {"text": "Done."},
            ],
            "passed",
        ),
        ([{"raw": {"choices": [{"message": {"content": ""}, "finish_reason": "stop"}]}}] * 3, "llm_bad_reply"),
    ],
    ids=["cut", "unreadable"],
)
async def test_a_recording_plays_replies_that_were_cut_or_unreadable(
    stub: OpenAIStub, tmp_path: Path, replies: list[dict[str, Any]], result: str
) -> None:
    stub.script(replies)
    models, file = stub_models(stub), tmp_path / "replies.jsonl"
    live = await run_trial(WRITE, Recording(file, models))
    await models.aclose()
    again = await run_trial(WRITE, Recording(file))
    assert task_figures([live], "m")["rows"][0]["result"] == result
    assert (again.calls, again.error, again.answer, again.problem) == (
        live.calls,
        live.error,
        live.answer,
        live.problem,
    )


async def test_a_recording_knows_the_model_whose_prompts_it_holds(stub: OpenAIStub, tmp_path: Path) -> None:
    file = tmp_path / "replies.jsonl"
    stub.script([{"text": "It adds."}] * 4)
    options = EvalOptions(model="gpt-5", endpoint=Endpoint(stub.url), record=file, agents=frozenset({"ask"}), limit=2)
    live = (await evaluate(options))["tasks"]
    assert "You answer questions" in str(stub.last_agent_request["messages"][0]["content"])
    assert "Examples" not in str(stub.last_agent_request["messages"][0]["content"]), "concise"
    replayed = (await evaluate(EvalOptions(replay=file, agents=frozenset({"ask"}), limit=2)))["tasks"]
    assert (replayed["unmeasured"], replayed["model_calls"]) == (0, live["model_calls"])
    other = (await evaluate(EvalOptions(replay=file, prompt_size="guided", agents=frozenset({"ask"}), limit=2)))[
        "tasks"
    ]
    assert other["unmeasured"] == 2, "another prompt needs another recording"


def test_labels_name_agents_and_tools_that_exist() -> None:
    tasks = [*read_tasks(), *read_tasks(HELD_OUT), *read_tasks(EDITS)]
    for task in tasks:
        assert task.agent in ROSTER
        assert task.tools | task.may <= ROSTER[task.agent].tools
    assert len({task.name for task in tasks}) == len(tasks)
    assert {request.expect for request in read_requests(REQUESTS)} <= set(ROSTER)


def test_no_label_is_solved_by_an_example_of_a_prompt() -> None:
    prompts = "\n".join(path.read_text(encoding="utf-8").lower() for path in PROMPTS.glob("*.md"))
    texts = [task.text for task in [*read_tasks(), *read_tasks(HELD_OUT), *read_tasks(EDITS)]]
    texts += [request.text for request in read_requests(REQUESTS)]
    assert [text for text in texts if text.lower().strip(".") in prompts] == []


async def test_only_the_tasks_of_one_agent_can_be_measured() -> None:
    report = await evaluate(EvalOptions(agents=frozenset({"debug"})))
    assert set(report["tasks"]["agents"]) == {"debug"}
    with pytest.raises(ConfigurationError, match="nobody"):
        await evaluate(EvalOptions(agents=frozenset({"nobody"})))


async def test_the_universal_agent_is_measured_alone(stub: OpenAIStub) -> None:
    models = stub_models(stub)
    stub.script([{"text": "It is 4."}])
    trial = await run_trial(Task(name="alone", agent="universal", text="what is 2 + 2?", says="4"), models)
    await models.aclose()
    assert trial.passed
    offered = [tool["function"]["name"] for tool in stub.last_agent_request["tools"]]
    assert "switch_mode" not in offered
    assert "write_file" in offered


@pytest.mark.parametrize(
    "content", ["no json", '{"name": "x"}', '{"name": "x", "agent": "coder", "text": "y", "z": 1}']
)
def test_a_wrong_file_is_named(tmp_path: Path, content: str) -> None:
    file = tmp_path / "tasks.jsonl"
    with pytest.raises(ConfigurationError, match=r"tasks\.jsonl"):
        read_tasks(file)
    file.write_text(content, encoding="utf-8")
    with pytest.raises(ConfigurationError, match=r"tasks\.jsonl"):
        read_tasks(file)


def test_an_empty_report_can_be_written() -> None:
    assert markdown({"model": "m", "source": "s", "labels": ["tasks.jsonl"], "reprompt": True}).startswith(
        "# Evaluation of m"
    )


def run(*words: str, environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return preloaded.run(words, cwd=ROOT, env={**os.environ, **(environment or {})}, timeout_s=60)


def run_eval(*options: str, environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return run("eval", *options, environment=environment)


def test_the_command_writes_both_reports(tmp_path: Path) -> None:
    done = run_eval("--limit", "2", "--out", str(tmp_path), "--tasks", str(TASKS), "--agent", "debug", "--agent", "ask")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Labels: tasks.jsonl." in (tmp_path / "report.md").read_text(encoding="utf-8")
    found = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))["tasks"]
    assert (found["tasks"], set(found["agents"])) == (2, {"ask"})


def test_the_model_is_asked_as_the_settings_say(tmp_path: Path, stub: OpenAIStub) -> None:
    stub.script([{"text": "It is 4."}] * 2)
    asked = {"LLM_MODEL": "m", "LLM_TEMPERATURE": "0.5", "LLM_MAX_TOKENS": "77", "LLM_EXTRA_BODY": '{"seed": 9}'}
    chosen = {f"AGENT_RUNTIME__{name}": value for name, value in asked.items()}
    done = run_eval("--url", stub.url, "--agent", "ask", "--limit", "1", "--out", str(tmp_path), environment=chosen)
    assert done.returncode == 0, done.stdout + done.stderr
    sent = stub.last_agent_request
    assert (sent["model"], sent["temperature"], sent["max_tokens"], sent["seed"]) == ("m", 0.5, 77, 9)


def test_the_command_can_measure_routing_alone(tmp_path: Path) -> None:
    done = run_eval("--no-tasks", "--requests", str(REQUESTS), "--keywords", "--limit", "3", "--out", str(tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert report["routing"]["requests"] == 3
    assert "tasks" not in report


async def test_repeats_are_measured_at_the_same_time_and_counted_as_one_task(stub: OpenAIStub) -> None:
    stub.script([{"text": "It is 4.", "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}}] * 6)
    report = await evaluate(
        EvalOptions(
            model="gpt-4.1", endpoint=Endpoint(stub.url), limit=2, repeats=3, concurrency=3, agents=frozenset({"ask"})
        )
    )
    found = report["tasks"]
    assert (found["tasks"], found["trials"], len(found["rows"])) == (2, 6, 6)
    low, high = found["pass_interval"]
    assert 0 <= low <= found["pass_rate"] <= high <= 1
    assert found["prompt_tokens"] == 10 * found["model_calls"]
    expected = Decimal(found["prompt_tokens"]) * 2 / 10**6 + Decimal(found["completion_tokens"]) * 8 / 10**6
    assert found["cost_usd"] == pytest.approx(float(expected))


async def test_own_prices_stand_before_ours(tmp_path: Path) -> None:
    prices = tmp_path / "prices.toml"
    prices.write_text("[models]\nfake-llm = { input = 1000000, output = 0 }\n")
    found = (await evaluate(EvalOptions(limit=2, prices=prices)))["tasks"]
    assert found["cost_usd"] == found["prompt_tokens"]
    assert (await evaluate(EvalOptions(limit=1)))["tasks"]["cost_usd"] is None


async def test_a_failed_task_leaves_its_transcript(stub: OpenAIStub, tmp_path: Path) -> None:
    models = stub_models(stub)
    stub.script([{"tool": "read_file", "args": {"path": "none.txt"}, "id": "r1"}, {"text": "There is no such file."}])
    trial = await run_trial(WRITE, models)
    await models.aclose()
    report = {"model": "m", "source": "s", "labels": [], "reprompt": True, "tasks": task_figures([trial], "m")}
    text = write_report(report, tmp_path)[2].read_text(encoding="utf-8")
    assert "## w: not called: write_file" in text
    for part in ("**User:** write a", "- `read_file` `{'path': 'none.txt'}`", "Error: ", "There is no such file."):
        assert part in text


LIST = {"list.txt": "one\n  two\n\ntwo\nthree\nfour\n"}
READ: dict[str, Any] = {"tool": "read_file", "args": {"path": "list.txt"}}


def writing(text: str) -> dict[str, Any]:
    return {"tool": "write_file", "args": {"path": "list.txt", "content": text}}


@pytest.mark.parametrize(
    ("text", "lost"),
    [
        ("one\ntwo\ntwo\nthree\nfour\nfive\n", []),
        ("    one\n\ntwo\ntwo\n\nthree\nfour", []),
        ("four\nthree\ntwo\ntwo\none\n", []),
        ("ONE\ntwo\ntwo\nthree\nfour\n", []),
        ("one\ntwo\nthree\nfour\n", ["two"]),
        ("# the rest is unchanged\nfive\n", ["two", "two", "three", "four"]),
        ("", ["two", "two", "three", "four"]),
    ],
)
def test_what_a_change_may_not_take_with_it_is_lost(text: str, lost: list[str]) -> None:
    assert lost_content(LIST["list.txt"], text, ["one"]) == lost
    assert lost_content(LIST["list.txt"], text) == (lost if "one" in text else ["one", *lost])


@pytest.mark.parametrize(
    ("replies", "damaged"),
    [
        ([READ, writing("one\n  two\n\ntwo\nthree\nfive\n")], False),
        ([READ, writing("one\n  two\n\ntwo\nfive\n")], True),
        ([READ, {"tool": "edit_file", "args": {"path": "list.txt", "old": "three\nfour", "new": "five"}}], True),
        ([{"tool": "execute_command", "args": {"command": "rm list.txt"}}], False),
        ([writing("one\n")], False),
        ([writing("one\n"), writing("one\n"), writing("two\n")], False),
        ([{"tool": "write_file", "args": {"path": "/workspace/list.txt", "content": "one\n"}}], False),
    ],
    ids=["wished change", "a line too much", "an edit too much", "no command", "unread", "unread again", "absolute"],
)
async def test_a_file_that_lost_more_than_the_wished_change_is_damaged(
    stub: OpenAIStub, replies: list[dict[str, Any]], damaged: bool
) -> None:
    models = stub_models(stub)
    stub.script([*replies, *[{"text": "Done."}] * 3])
    task = Task(name="d", agent="coder", text="four is now five", files=LIST, replaces={"list.txt": ["four"]})
    trial = await run_trial(task, models)
    await models.aclose()
    assert trial.damaged is damaged
    report = task_figures([trial], "m")
    assert (report["damaged"], report["rows"][0]["damaged"]) == (int(damaged), damaged)


@pytest.mark.parametrize(
    ("more", "path", "strayed"),
    [
        ({"contains": {"new.txt": "x"}}, "new.txt", False),
        ({"contains": {"new.txt": "x"}}, "other.txt", True),
        ({"replaces": {"list.txt": ["four"]}}, "other.txt", True),
        ({"unchanged": True}, "new.txt", True),
        ({}, "new.txt", False),
    ],
    ids=["the named file", "beside it", "beside an edit", "a question", "no file named"],
)
async def test_a_file_that_the_task_does_not_name_is_counted(
    stub: OpenAIStub, more: dict[str, Any], path: str, strayed: bool
) -> None:
    models = stub_models(stub)
    stub.script([{"tool": "write_file", "args": {"path": path, "content": "x"}}, *[{"text": "Done."}] * 3])
    trial = await run_trial(Task(name="s", agent="coder", text="write it", files=LIST, **more), models)
    await models.aclose()
    assert trial.strayed is strayed
    assert task_figures([trial], "m")["strayed"] == int(strayed)


async def test_a_model_that_writes_a_piece_of_a_file_again_and_again_damages_nothing(stub: OpenAIStub) -> None:
    models = stub_models(stub)
    stub.responder = lambda body: READ if body["messages"][-1]["role"] == "user" else writing("one\n")
    trial = await run_trial(Task(name="i", agent="coder", text="take out two", files=LIST), models)
    await models.aclose()
    assert trial.calls.count("write_file") > 2
    assert not trial.damaged


async def test_a_model_that_repeats_what_it_has_read_does_not_take_back_its_edit(stub: OpenAIStub) -> None:
    models = stub_models(stub)
    edit = {"tool": "edit_file", "args": {"path": "list.txt", "old": "four", "new": "five"}}
    stub.script([READ, edit, writing(LIST["list.txt"]), {"text": "Done."}])
    task = Task(name="t", agent="coder", text="four is now five", files=LIST, contains={"list.txt": "five"})
    trial = await run_trial(task, models)
    await models.aclose()
    assert trial.passed, trial.problem
    assert "takes back what was changed in list.txt before" in trial.transcript


async def test_a_recording_is_resumed_where_it_ends(stub: OpenAIStub, tmp_path: Path) -> None:
    file = tmp_path / "replies.jsonl"
    call = {"tool": "write_file", "args": {"path": "a.txt", "content": "x"}}
    models = stub_models(stub)
    stub.script([call])
    broken_off = await run_trial(WRITE, Recording(file, models))
    stub.script([{"text": "Done."}])
    resumed = await run_trial(WRITE, Recording(file, models, resumed=True))
    await models.aclose()
    assert (broken_off.error, resumed.passed, resumed.calls) == ("llm_unavailable", True, ["write_file"])
    assert (await run_trial(WRITE, Recording(file))).passed


async def test_a_dangerous_call_is_rejected_as_no_person_looks_at_it(stub: OpenAIStub) -> None:
    models = stub_models(stub)
    stub.script([{"tool": "execute_command", "args": {"command": "git push --force"}}, {"text": "Not pushed."}])
    trial = await run_trial(Task(name="p", agent="coder", text="push", commands={"git push": "forced update"}), models)
    await models.aclose()
    assert "rejected" in trial.transcript
    assert "forced update" not in trial.transcript


@pytest.mark.parametrize("labels", [TASKS, EDITS, HELD_OUT, TUNING], ids=lambda path: path.stem)
def test_labels_say_which_lines_a_wished_change_replaces(labels: Path) -> None:
    for task in read_tasks(labels):
        for path, texts in task.replaces.items():
            for text in texts:
                assert text in task.files[path], f"{task.name}: {text!r} is no text of {path}"
        assert not (task.unchanged and task.replaces), task.name


def test_the_command_fails_below_a_rate(tmp_path: Path) -> None:
    tasks = tmp_path / "tasks.jsonl"
    tasks.write_text(json.dumps({"name": "n", "agent": "ask", "text": "hello", "says": "never said"}))
    options = ("--tasks", str(tasks), "--out", str(tmp_path / "out"))
    assert run_eval(*options).returncode == 0
    failed = run_eval(*options, "--fail-under", "0.5")
    assert failed.returncode == 1
    assert "0.0% is below 50.0%" in failed.stderr


def test_the_command_fails_when_the_model_is_not_there(tmp_path: Path) -> None:
    gone = ("--model", "m", "--url", "http://127.0.0.1:9", "--limit", "1", "--out", str(tmp_path))
    done = run_eval(*gone, "--requests", str(REQUESTS), environment={"AGENT_RUNTIME__LLM_MAX_RETRIES": "0"})
    assert done.returncode == 3, done.stdout + done.stderr
    assert "The model gave no reply in 2 cases" in done.stderr
    assert "these figures are not the model's" in (tmp_path / "report.md").read_text(encoding="utf-8")


def test_the_command_compares_two_reports(tmp_path: Path) -> None:
    for name in ("a", "b"):
        assert run_eval("--limit", "3", "--out", str(tmp_path / name)).returncode == 0
    done = run("eval-compare", str(tmp_path / "a"), str(tmp_path / "b" / "report.json"))
    assert done.returncode == 0, done.stderr
    assert "| passed | 3 | 100.0% | 100.0% | 1.000 | – | – |" in done.stdout
    refused = run("eval-compare", str(tmp_path / "a"), str(tmp_path / "none"))
    assert refused.returncode != 0
    assert "is no report of an evaluation" in refused.stderr
