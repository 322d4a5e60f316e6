"""Code in the command line of an interpreter: what deletes, starts programs, reads secrets or writes guarded files."""

from __future__ import annotations

import re
from collections.abc import Callable

from policy.shell.danger.targets import names_credentials

_DELETES = re.compile(
    r"rmtree|\brmdir|\bunlink|\bremovedirs|os\.remove|\.remove\(|rmSync|\brm!?\(|\.delete\(\)|rm_rf|rm_r\b|FileUtils|\btruncate|removeSync"
    r"|File\.delete|Dir\.delete|delete_folder|\bdropDatabase|\bDROP\s+TABLE|rimraf|os\.truncate|shutil\.move",
)
_STARTS = re.compile(
    r"do shell script|"
    r"os\.system|subprocess|popen|Popen|pty\.|child_process|execSync|spawn|\bexec\b|\beval\b|\bsystem\b|__import__"
    r"|shell_exec|passthru|proc_open|Runtime\.getRuntime|ProcessBuilder|`|%x|compile\(|ctypes|setuid|os\.exec|getline",
)
_TEXTS = re.compile(r"'([^']{1,300})'|\"([^\"]{1,300})\"")
_WRITES = re.compile(
    r"open\s*\(|write_text|write_bytes|writeFile|appendFile|File\.write|file_put_contents|chmod|symlink|>\s*\"|copy|rename"
)


def is_harmful_code(text: str, guards: Callable[[str], bool]) -> bool:
    """Whether code may do harm; starting a program counts as harm, because the program is unknown."""
    if _DELETES.search(text) or _STARTS.search(text) or text.strip() in {"$()", ""}:
        return True
    named = [first or second for first, second in _TEXTS.findall(text)]
    if any(map(names_credentials, named)):
        return True
    if not _WRITES.search(text):
        return False
    return any(guards(name) for name in named if re.search(r"[./~]", name))
