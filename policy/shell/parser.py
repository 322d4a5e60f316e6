"""The parser of command lines: tree-sitter must find the same words and operators as the lexer."""

from __future__ import annotations

from dataclasses import dataclass

import tree_sitter_bash
from tree_sitter import Language, Node, Parser

from policy.shell.always_ask import names_of
from policy.shell.lexer import Token, Word, check_text, tokens_of
from policy.verdicts.unproven import Unproven
from policy.verdicts.verdict import ReasonCode

MAX_SEGMENTS = 20

_LANGUAGE = Language(tree_sitter_bash.language())

_NAMED = names_of(
    "program list pipeline command command_name word string string_content raw_string number concatenation "
    "redirected_statement file_redirect file_descriptor comment test_command"
)
_PUNCTUATION = frozenset({"&&", "||", ";", "|", "\n", '"', ">", ">&", "&>"})
_CONDITION = names_of("unary_expression binary_expression test_operator extglob_pattern word string raw_string number")
_CONDITION_MARKS = frozenset({"[", "]", "!", "=", "==", "!="})
"""What stands inside `[ … ]`; `[[ … ]]` is another language and stays outside."""
_OUTSIDE: dict[str, tuple[ReasonCode, str]] = {
    "variable_assignment": ("shell.assignment", "An assignment changes what the command means"),
    "declaration_command": ("shell.assignment", "An assignment changes what later commands mean"),
    "unset_command": ("shell.assignment", "Unsetting a variable changes what later commands mean"),
    "negated_command": ("shell.history", "A leading ! is history expansion or a negation"),
}
_WORDS = frozenset({"word", "string", "raw_string", "number", "concatenation"})


@dataclass(frozen=True)
class Stage:
    """One simple command with the operator that ends it."""

    words: tuple[Word, ...]
    operator: str
    """`&&`, `||`, `;`, `|`, a line feed, or nothing at the end."""
    redirects: tuple[str, ...] = ()

    @property
    def argv(self) -> tuple[str, ...]:
        """What the shell passes to the program, as far as no wildcard is expanded."""
        return tuple(word.value for word in self.words)


def read_line(command: str) -> tuple[Stage, ...]:
    """Return the simple commands of a line; raise a Unproven when it is not of the provable language."""
    check_text(command)
    tokens = tokens_of(command)
    stages = _stages(tokens)
    if not stages:
        raise Unproven("shell.syntax", "The line holds no command")
    if len(stages) > MAX_SEGMENTS:
        raise Unproven("shell.segments", f"The line has more than {MAX_SEGMENTS} commands")
    _confirm(command, stages)
    return stages


def _stages(tokens: list[Token]) -> tuple[Stage, ...]:
    stages: list[Stage] = []
    words: list[Word] = []
    redirects: list[str] = []
    for token in tokens:
        if token.kind == "word":
            words.append(token.word)
        elif token.kind == "redirect":
            redirects.append(token.word.raw)
        elif words:
            stages.append(Stage(tuple(words), token.word.raw, tuple(redirects)))
            words, redirects = [], []
        elif redirects or token.word.raw != "\n":
            raise Unproven("shell.syntax", "An operator without a command", token.word.span)
    if words:
        stages.append(Stage(tuple(words), "", tuple(redirects)))
    elif redirects or (stages and stages[-1].operator in {"&&", "||", "|"}):
        raise Unproven("shell.syntax", "The line ends where a command should follow")
    return tuple(stages)


def _confirm(command: str, stages: tuple[Stage, ...]) -> None:
    """Parse the line with tree-sitter: no error, no other construct, no gap, and the same commands word by word."""
    source = command.encode()
    root = Parser(_LANGUAGE).parse(source).root_node
    if root.has_error:
        raise Unproven("shell.syntax", "The line cannot be parsed as a shell command")
    leaves: list[Node] = []
    commands: list[list[tuple[int, int]]] = []
    _walk(root, leaves, commands, command.isascii())
    _check_gaps(source, leaves)
    expected = [[_bytes_span(command, word) for word in stage.words] for stage in stages]
    if commands != expected:
        raise Unproven("shell.syntax", "The line can be read in two ways")


def _bytes_span(command: str, word: Word) -> tuple[int, int]:
    if command.isascii():
        return word.span
    start = len(command[: word.start].encode())
    return (start, start + len(word.raw.encode()))


def _walk(root: Node, leaves: list[Node], commands: list[list[tuple[int, int]]], is_ascii: bool) -> None:
    stack = [root]
    while stack:
        node = stack.pop()
        if node.type == "test_command":
            commands.append(_condition(node, leaves))
            continue
        if node.is_missing or (node.type not in _NAMED if node.is_named else node.type not in _PUNCTUATION):
            code, text = _OUTSIDE.get(node.type, ("shell.syntax", "The line uses a construct that cannot be proved"))
            span = (node.start_byte, node.end_byte) if is_ascii else None
            raise Unproven(code, text, span)
        if node.type == "command":
            commands.append([])
        if node.type in _WORDS and node.parent is not None and node.parent.type in {"command", "command_name"}:
            commands[-1].append((node.start_byte, node.end_byte))
        if node.child_count == 0:
            leaves.append(node)
        stack.extend(reversed(node.children))


def _condition(root: Node, leaves: list[Node]) -> list[tuple[int, int]]:
    """Return the spans of the words of `[ … ]`."""
    spans: list[tuple[int, int]] = []
    stack = [root]
    while stack:
        node = stack.pop()
        is_word = node.type in _WORDS or node.child_count == 0
        known = node.type in _CONDITION if node.is_named else node.type in _CONDITION_MARKS
        if node.is_missing or not (known or node is root):
            raise Unproven("shell.syntax", "The condition uses a construct that cannot be proved")
        if is_word:
            spans.append((node.start_byte, node.end_byte))
            leaves.append(node)
        else:
            stack.extend(reversed(node.children))
    return spans


def _check_gaps(source: bytes, leaves: list[Node]) -> None:
    """Bytes that no leaf covers must be blanks; a line feed only where one cannot end a command."""
    place, free = 0, True
    for leaf in leaves:
        if leaf.type == "comment":
            return
        gap = source[place : leaf.start_byte]
        if gap.strip(b" \t\n" if free else b" \t"):
            raise Unproven("shell.syntax", "A part of the line belongs to no word")
        place, free = leaf.end_byte, leaf.type in {"&&", "||", "|", ";", "\n"}
    if source[place:].strip(b" \t\n"):
        raise Unproven("shell.syntax", "A part of the line belongs to no word")
