"""Whatever is inserted into a safe line at an unquoted place, the line no longer runs without asking."""

from __future__ import annotations

import random

from policy.shell.command import classify
from tests.policy.roster import corpus

SEED = 20260214
LEAST_MUTANTS = 10_000
INSERTIONS = (
    ";x",
    "\nx",
    "$(x)",
    "&x",
    "|x",
    ">x",
    "\0",
    "\r",
    "\u202e",
    "\\ ",
    "`x`",
    "<x",
    "(x)",
    "{x,y}",
    "&&x",
    "\x0b",
)
SAFE = [row["command"] for row in corpus("commands_dev.jsonl") if row["expect"] == "safe"]
OWN_SAFE = [row["command"] for row in corpus("commands_own.jsonl") if row["expect"] == "safe"]


def unquoted_places(command: str) -> list[int]:
    """Return every index at which an inserted text stands outside quotes."""
    places, quote = [], ""
    for place, character in enumerate(command):
        if not quote:
            places.append(place)
        if quote == character:
            quote = ""
        elif not quote and character in "'\"":
            quote = character
    return [*places, len(command)]


def test_insertions_into_safe_rows_never_stay_allowed() -> None:
    mutants = [
        command[:place] + inserted + command[place:]
        for command in SAFE
        for place in unquoted_places(command)
        for inserted in INSERTIONS[:10]
    ]
    assert len(mutants) >= LEAST_MUTANTS
    survivors = [mutant for mutant in mutants if classify(mutant, None, "bash").decision == "allow"]
    assert survivors == []


def test_seeded_insertions_into_own_rows_never_stay_allowed() -> None:
    chance = random.Random(SEED)
    survivors = []
    for _ in range(4000):
        command = chance.choice(OWN_SAFE)
        place = chance.choice(unquoted_places(command))
        mutant = command[:place] + chance.choice(INSERTIONS) + command[place:]
        if classify(mutant, None, "bash").decision == "allow":
            survivors.append(mutant)
    assert survivors == [], f"seed {SEED}"


def test_an_inserted_output_option_survives_only_where_it_is_no_output() -> None:
    survivors = []
    for command in [*SAFE, *OWN_SAFE]:
        for place in [p for p in unquoted_places(command) if command[p : p + 1] in {"", " "}]:
            mutant = f"{command[:place]} -o x{command[place:]}"
            verdict = classify(mutant, None, "bash")
            if verdict.decision == "allow" and not any(_is_harmless(segment.argv) for segment in verdict.segments):
                survivors.append(mutant)
    assert survivors == []


def _is_harmless(argv: tuple[str, ...]) -> bool:
    """Whether `-o` stands as text, as grep's or git ls-files' own flag, as `or`, as a value, or after `--`."""
    if "-o" not in argv:
        return False
    at = argv.index("-o")
    is_flag = argv[0] in {"echo", "printf", "grep", "egrep", "fgrep", "rg", "test", "["}
    return is_flag or argv[:2] in {("git", "grep"), ("git", "ls-files")} or "--" in argv[:at]


def test_two_insertions_never_help_each_other() -> None:
    chance = random.Random(SEED + 1)
    survivors = []
    for _ in range(1500):
        mutant = chance.choice(SAFE)
        for _ in range(2):
            place = chance.choice(unquoted_places(mutant))
            mutant = mutant[:place] + chance.choice(INSERTIONS) + mutant[place:]
        if classify(mutant, None, "bash").decision == "allow":
            survivors.append(mutant)
    assert survivors == [], f"seed {SEED + 1}"
