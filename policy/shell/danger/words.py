"""The word lists by which harm is recognised: danger.toml, loaded once."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from importlib.resources import files

from policy.shell.always_ask import names_of

DANGER_TEXT = files("policy.shell.danger").joinpath("danger.toml").read_text(encoding="utf-8")
WORDS: Mapping[str, frozenset[str]] = {name: names_of(words) for name, words in tomllib.loads(DANGER_TEXT).items()}
