"""What a person wrote in an editor, as the text of one request."""

from __future__ import annotations

from collections.abc import Sequence

from acp.schema import (
    AudioContentBlock,
    EmbeddedResourceContentBlock,
    ImageContentBlock,
    ResourceContentBlock,
    TextContentBlock,
    TextResourceContents,
)

from client.editor.calls import code
from errors import BadRequest

Block = TextContentBlock | ImageContentBlock | AudioContentBlock | ResourceContentBlock | EmbeddedResourceContentBlock


def text_of(prompt: Sequence[Block]) -> str:
    """Join the blocks of a prompt; raises BadRequest for what no agent here can read."""
    text = "".join(_text(block) for block in prompt)
    if not text.strip():
        raise BadRequest("The prompt is empty.")
    return text


def _text(block: Block) -> str:
    if isinstance(block, TextContentBlock):
        return block.text
    if isinstance(block, ResourceContentBlock):
        return f"[{block.name}]({block.uri})"
    if isinstance(block, EmbeddedResourceContentBlock) and isinstance(block.resource, TextResourceContents):
        fence = _fence_around(block.resource.text)
        return f"\n\n{code(block.resource.uri)}:\n{fence}\n{block.resource.text}\n{fence}\n\n"
    raise BadRequest(f"This agent cannot read a block of type '{block.type}': send text or a link to a file.")


def _fence_around(text: str) -> str:
    fence = "```"
    while fence in text:
        fence += "`"
    return fence
