"""Ask once more where a tool call is due: what the model is told, and what its second reply comes to."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Literal

from langchain_core.messages import BaseMessage, HumanMessage

from agents.replies.written_plan import plan_call, plan_in_json, plan_in_text
from errors import ModelError
from llm.streaming import Reply
from llm.tool_calls import WrittenCall
from tools.attempt_completion import ATTEMPT_COMPLETION

Missing = Literal["plan", "action", "file", "claim"]
"""Which call a reply of text alone lacks (`agents.replies.ask_model.missing_call`)."""
_REPROMPTS: dict[Missing, str] = {
    "plan": "No tool was called, so nobody can approve or run this. The task has several steps: call create_plan now "
    "with these steps. If a plan is wrong here, call attempt_completion or ask_followup_question.",
    "action": "No tool was called, so nothing happened. Make the call that is needed now, exactly one. If nothing is "
    "left to do, call attempt_completion with the answer.",
    "claim": "No tool was called, so nothing was done. Make the call that does it now, exactly one. If nothing is "
    "to be done, call attempt_completion and say so.",
    "file": "Code in a reply changes no file. If the user wants it in the project, call write_file now; if the reply "
    "was the whole answer, call attempt_completion.",
}
_HOW = (
    " Use the tool interface; where you have none, reply with nothing but one JSON object: "
    '{"name": "the tool", "arguments": {"its": "arguments"}}'
)


async def reprompt(
    ask: Callable[[Sequence[BaseMessage]], Awaitable[Reply]], said: Sequence[BaseMessage], missing: Missing
) -> Reply | None:
    """Ask for the call behind what was said; None where the model could not be asked."""
    try:
        return await ask([*said, _message(missing)])
    except ModelError:
        return None


def _message(missing: Missing) -> HumanMessage:
    """The last message, not a part of the system prompt, so that the server's prompt cache stays valid."""
    return HumanMessage(_REPROMPTS[missing] + _HOW, additional_kwargs={"hidden": True, "reprompt": True})


def settled(first: Reply, second: Reply | None, missing: Missing, request: str) -> tuple[tuple[WrittenCall, ...], bool]:
    """The calls that reprompting brought, and whether the first text has to count as the completion."""
    calls = second.calls if second else ()
    if calls and missing in ("plan", "file") and all(call.name == ATTEMPT_COMPLETION.name for call in calls):
        return (), False  # the model confirms that its text was the answer; it is not shown twice
    if calls or missing != "plan":
        return calls, not calls
    texts = [reply.text for reply in (second, first) if reply is not None]
    arguments = next((found for text in texts if (found := plan_in_json(text) or plan_in_text(text, request))), None)
    return ((plan_call(arguments),), False) if arguments is not None else ((), True)
