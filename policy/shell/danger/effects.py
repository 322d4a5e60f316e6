"""The harm that single programs can do: rights, accounts, servers, containers, databases."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from itertools import pairwise

from policy.shell.always_ask import names_of
from policy.shell.danger.packages import installs_foreign
from policy.shell.danger.words import WORDS

_SYMBOLIC_MODE = re.compile(r"([ugoa]*)[-+=]([rwxXst]*)")
_SQL = re.compile(r"\b(?:drop|delete|truncate)\s|dropDatabase|\.(?:drop|remove|delete\w*)\(", re.IGNORECASE)
_DATABASES = names_of("psql mysql mariadb sqlite3 mongo mongosh redis-cli cqlsh clickhouse-client duckdb sqlcmd")
_SED_STARTS = re.compile(r"(?:^|[;\n{}\d$/!])\s*e\s|s(\W).*?\1.*?\1[gpimIM0-9]*e")
_HOST_RIGHTS = re.compile(
    r"docker\.sock|--privileged|--cap-add|--pid=host|(?:-v|--volume)[ =](?:/|~|\$HOME)(?:[a-z.]*):|source=/,"
)

Look = Callable[[str], bool]
"""Says whether a text that is read as shell commands is harmful."""
Judge = Callable[[Sequence[str]], bool]
"""Says whether a command, given as words, is harmful."""


def has_own_harm(name: str, arguments: list[str], document: str, read: Look, judge: Judge) -> bool:
    """Whether a program does harm in a way of its own, by its options."""
    operands = [word for word in arguments if not word.startswith("-")]
    if name == "chmod":
        return any(_widens(word) for word in operands[:1])
    if name in {"trap", "alias"}:
        return any(read(word.partition("=")[2] if name == "alias" else word) for word in operands)
    if name in {"vim", "vi", "nvim", "ex", "ed", "less", "man"}:
        return any("!" in text and read(text.partition("!")[2]) for text in [*arguments, document])
    if name == "install":
        return any(_widens(mode) for option, mode in pairwise(arguments) if option in {"-m", "--mode"})
    if name == "crontab":
        return "-l" not in arguments
    if name in {"printenv", "env"}:
        return True
    if name in {"kill", "pkill", "killall"}:
        of_user = name != "kill" and {"-u", "-U", "--user", "--uid"}.intersection(arguments)
        return bool(of_user) or "-1" in operands or arguments[-1:] == ["-1"] or operands[-1:] == ["1"]
    if name in {"cp", "mv", "ln"} and operands[:1] and operands[0] == "/dev/null":
        return True
    if name == "dd":
        return any(word.startswith("of=") for word in arguments)
    if name == "mv" and operands[-1:] == ["/dev/null"]:
        return True
    if name == "rsync":
        return any(word.startswith(("--del", "--remove-source")) for word in arguments)
    if name == "tar":
        return any(
            word.startswith(("--remove-files", "--checkpoint-action", "--to-command", "-I", "--use-compress"))
            for word in arguments
        )
    if name == "zip":
        return "-m" in arguments or "-T" in arguments
    if name in {"curl", "wget", "http", "https"}:
        return _sends(name, arguments)
    if name in {"nc", "ncat", "netcat", "socat", "telnet", "ngrok"}:
        return "-z" not in arguments and not any("z" in word for word in arguments if re.fullmatch(r"-[a-z]+", word))
    if name in _DATABASES:
        return bool(_SQL.search(" ".join([*arguments, document])))
    if name in {"docker", "podman", "nerdctl", "docker-compose"}:
        return _container(arguments, judge)
    if name in {"kubectl", "oc", "helm"}:
        return bool({"delete", "uninstall", "drain", "replace", "rollback"}.intersection(operands))
    if name in {"terraform", "tofu", "pulumi", "cdk"}:
        return bool({"destroy", "apply", "up", "deploy", "taint", "import"}.intersection(operands))
    if name in {"sed", "gsed"}:
        return any(map(_SED_STARTS.search, operands))
    if name in {"make", "gmake"} and "-" in arguments and read(document):
        return True
    if name in {"make", "gmake", "just", "task"}:
        return any(
            re.search(r"(?:^|[-_:])(?:uninstall|distclean|mrproper|nuke|deploy|purge|destroy|drop)", word)
            for word in operands
        )
    if name in WORDS["installers"]:
        return installs_foreign(name, arguments, operands)
    return False


def _widens(mode: str) -> bool:
    """Whether a mode lets all users write, or runs a program with its owner's rights."""
    if mode.isdigit():
        return mode[-1] in "2367" or (len(mode) > 3 and mode[-4] in "2467")
    for found in (_SYMBOLIC_MODE.fullmatch(part) for part in mode.split(",")):
        if found is None or "s" in found.group(2) or ("w" in found.group(2) and re.search("[oa]", found.group(1))):
            return "-" not in mode
    return False


def _sends(name: str, arguments: Sequence[str]) -> bool:
    """An upload, a change on a server, or data of a substitution in an address."""
    changing = {"-T", "--upload-file", "-F", "--form", "--post-file", "--body-file"}
    if changing.intersection(arguments):
        return True
    text = " ".join(arguments)
    return ("@" in text and bool(re.search(r"(?:-d|--data\S*)\s*'?@|=@", text))) or (
        "DELETE" in arguments and name == "curl"
    )


def _container(arguments: list[str], judge: Judge) -> bool:
    """Containers and volumes that are removed, rights of the host, and what is started inside."""
    operands = [word for word in arguments if not word.startswith("-")]
    removes = {"-v", "--volumes", "--rmi"}.intersection(arguments) and "down" in operands
    if removes or WORDS["losses"].intersection(operands[:3]) or operands[:1] == ["kill"]:
        return True
    text = " ".join(arguments)
    if _HOST_RIGHTS.search(text):
        return True
    if operands[:1] == ["run"] or "exec" in operands[:3]:
        places = [place for place, word in enumerate(arguments) if not word.startswith("-")]
        return any(judge(arguments[place:]) for place in places[2:6])
    return False
