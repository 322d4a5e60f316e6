"""The evaluation: figures that can be trusted, reports that can be read, recordings that can be played."""

from __future__ import annotations

import json
import os
import subprocess
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from errors import ConfigurationError
from evaluation.evaluate import EvalOptions, evaluate
from evaluation.recording import Recording
from evaluation.report import markdown, task_figures, write_report
from evaluation.tasks import TASKS, Task
from evaluation.trial import run_trial
from llm.chat_model import Endpoint
from tests.client import preloaded
from tests.evaluation.conftest import REQUESTS, ROOT, stub_models
from tests.openai_stub import OpenAIStub

WRITE = Task(name="w", agent="coder", text="write a", tools=frozenset({"write_file"}), contains={"a.txt": "x"})


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
    (tmp_path / "nothing.jsonl").touch()
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


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--no-tasks", "--fail-under", "0.9"), "There is nothing to measure"),
        (("--tasks", "{folder}/empty.jsonl"), "There is nothing to measure"),
        (("--resume",), "--resume goes on with the recording of --record"),
        (("--replay", "{folder}/none.jsonl"), "none.jsonl cannot be read"),
        (("--replay", "{folder}/cut.jsonl"), "cut.jsonl, line 1 is no recorded reply"),
        (("--record", "{folder}/cut.jsonl", "--resume"), "cut.jsonl, line 1 is no recorded reply"),
        (("--replay", "{folder}/cut.jsonl", "--record", "{folder}/new.jsonl"), "leave one of them out"),
    ],
)
def test_options_that_would_measure_nothing_or_something_else_are_refused(
    tmp_path: Path, options: tuple[str, ...], sentence: str
) -> None:
    (tmp_path / "empty.jsonl").touch()
    (tmp_path / "cut.jsonl").write_text('{"asked": "m", "key": "0a', encoding="utf-8")
    out = tmp_path / "out"
    done = run_eval(*(word.format(folder=tmp_path) for word in options), "--out", str(out))
    assert done.returncode == 2, done.stdout + done.stderr
    assert sentence in done.stderr
    assert not out.exists()
