#!/usr/bin/env python3
"""Greet every name in names.txt, or the world when there is no such file."""

from pathlib import Path

NAMES = Path(__file__).with_name("names.txt")


def greet(name: str) -> str:
    """Return the greeting for one person."""
    return f"Hello, {name}!"


if __name__ == "__main__":
    names = NAMES.read_text(encoding="utf-8").splitlines() if NAMES.exists() else ["world"]
    for name in names:
        print(greet(name))
