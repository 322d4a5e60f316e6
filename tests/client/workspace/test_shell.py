"""execute_command: runs what was cleared, ends when its time is over, and takes its children with it."""

import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from client.workspace.executor import WorkspaceExecutor
from client.workspace.folder import Workspace
from client.workspace.request import ToolRequest
from client.workspace.shell import CappedOutput
from tests.client.workspace.tool_calls import execute


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    (tmp_path / "a.txt").write_text("one\ntwo\n")
    return Workspace(tmp_path)


def run(
    workspace: Workspace, command: str, execution: dict[str, Any] | None = None, **arguments: Any
) -> dict[str, Any]:
    outcome = execute(workspace, "execute_command", {"command": command, **arguments}, execution=execution)
    assert outcome.error is None, outcome.error
    assert isinstance(outcome.result, dict)
    return outcome.result


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text() if sys.platform == "linux" else True


def wait_until_dead(pid: int) -> None:
    deadline = time.monotonic() + 5
    while is_alive(pid):
        assert time.monotonic() < deadline, f"process {pid} is still alive"
        time.sleep(0.01)


def test_plain_words_run_without_a_shell(workspace: Workspace) -> None:
    result = run(workspace, "cat a.txt")
    assert (result["success"], result["exit_code"], result["stdout"], result["stderr"]) == (True, 0, "one\ntwo\n", "")


def test_shell_syntax_runs_in_the_declared_shell(workspace: Workspace) -> None:
    assert run(workspace, "cat a.txt | wc -l && echo $((1+1))")["stdout"].split() == ["2", "2"]
    assert run(workspace, "exit 3", shell=True)["exit_code"] == 3  # noqa: S604 a shell is the point


def test_failing_command_is_a_result(workspace: Workspace) -> None:
    result = run(workspace, "cat none.txt")
    assert result["success"] is False
    assert result["exit_code"] == 1
    assert "none.txt" in result["stderr"]


def test_command_runs_in_its_folder(workspace: Workspace) -> None:
    (workspace.root / "sub").mkdir()
    assert run(workspace, "pwd", cwd="sub")["stdout"].strip() == str(workspace.root / "sub")
    outcome = execute(workspace, "execute_command", {"command": "pwd", "cwd": "none"})
    assert outcome.error == "There is no folder 'none'."


def test_input_is_closed_and_settings_of_the_runtime_are_not_passed_on(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AGENT_RUNTIME__LLM_API_KEY", "sk-secret")
    assert run(workspace, "cat", timeout=5)["stdout"] == ""
    listed = run(workspace, "env")["stdout"]
    assert "sk-secret" not in listed
    assert "PAGER=cat" in listed


def test_timeout_kills_the_whole_group(workspace: Workspace) -> None:
    result = run(workspace, "sleep 1000 & echo $!; echo $$; sleep 1000", timeout=1)  # longer than a test may take
    assert result["timed_out"] is True
    assert result["exit_code"] is None
    assert "stopped after 1 seconds" in result["error"]
    for pid in result["stdout"].split():
        wait_until_dead(int(pid))


def test_what_a_command_leaves_running_ends_with_it(workspace: Workspace) -> None:
    result = run(workspace, "sleep 100 & echo $!")
    assert result["success"] is True
    wait_until_dead(int(result["stdout"]))


def test_time_left_of_the_task_bounds_a_command(workspace: Workspace) -> None:
    outcome = execute(workspace, "execute_command", {"command": "sleep 100"}, time_left_s=0.2)
    assert isinstance(outcome.result, dict)
    assert outcome.result["timed_out"] is True


def test_flood_is_capped_with_its_head_and_tail(workspace: Workspace) -> None:
    result = run(workspace, "echo first; yes | head -c 3000000; echo last")
    assert result["truncated"] is True
    assert len(result["stdout"]) < 210_000
    assert result["stdout"].startswith("first")
    assert result["stdout"].endswith("last\n")
    assert "more bytes" in result["stdout"]


def test_output_cap_counts_what_is_left_out() -> None:
    output = CappedOutput(10)
    for block in (b"abc", b"defgh", b"ijklmnop"):
        output.add(block)
    assert output.omitted == 6
    assert output.text() == "abc\n… 6 more bytes …\njklmnop"


def test_cleared_pipelines_run_without_a_shell(workspace: Workspace) -> None:
    contract = {
        "argv": [[["cat", "a.txt"], ["head", "-n", "1"]], [["printf", "%s", "$HOME; ls"]]],
        "env": {"EXTRA": "1"},
        "expected_shell": "no-such-shell",
    }
    result = run(workspace, "not looked at", execution=contract)
    assert result["stdout"] == "one\n$HOME; ls"


def test_cleared_pipeline_whose_reader_leaves_early_ends(workspace: Workspace) -> None:
    contract = {"argv": [[["yes"], ["head", "-n", "1"]]], "timeout_s": 5}
    assert run(workspace, "yes | head -n 1", execution=contract)["stdout"] == "y\n"


def test_command_cleared_for_another_shell_is_refused(workspace: Workspace) -> None:
    contract = {"argv": None, "expected_shell": "zsh"}
    outcome = execute(workspace, "execute_command", {"command": "ls *"}, execution=contract)
    assert outcome.error == "The command was cleared for the shell zsh, which is not the shell here."


def test_program_that_does_not_exist(workspace: Workspace) -> None:
    assert run(workspace, "no-such-program")["exit_code"] == 127
    contract = {"argv": [[["cat", "a.txt"], ["no-such-program"]]]}
    outcome = execute(workspace, "execute_command", {"command": "x"}, execution=contract)
    assert outcome.error is not None
    assert outcome.error.startswith("The command cannot be started: no-such-program")


def test_undecodable_output_is_shown_with_marks(workspace: Workspace) -> None:
    assert run(workspace, r"printf '\377ok'")["stdout"] == "\ufffdok"


def test_command_is_stopped_from_another_thread_with_all_that_it_started(workspace: Workspace) -> None:
    executor = WorkspaceExecutor(workspace)
    command = "sleep 100 & echo $! > child; sleep 100; echo after > after"
    examined = executor.examine(ToolRequest("execute_command", {"command": command}))
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(executor.execute, examined)
        child = int(wait_for_text(workspace.root / "child"))
        executor.stop()
        outcome = running.result(10)
    assert outcome.result["error"] == "The command was stopped by the user."
    assert outcome.result["success"] is False
    assert not (workspace.root / "after").exists()
    wait_until_dead(child)


def test_nothing_is_stopped_when_nothing_runs(workspace: Workspace) -> None:
    executor = WorkspaceExecutor(workspace)
    executor.stop()
    examined = executor.examine(ToolRequest("execute_command", {"command": "cat a.txt"}))
    assert executor.execute(examined).result["success"] is True


def wait_for_text(path: Path) -> str:
    deadline = time.monotonic() + 10
    while not path.exists() or not (text := path.read_text()).endswith("\n"):
        assert time.monotonic() < deadline, f"{path} was not written"
        time.sleep(0.01)
    return text
