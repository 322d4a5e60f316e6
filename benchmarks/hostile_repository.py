"""An untrusted repository with secrets, and a folder beside it that no command may read."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

PROGRAMS = "/usr/local/bin:/usr/bin:/bin"
"""The path of programs, without the wrappers of version managers, which are no part of the list."""
_GIT = (shutil.which("git") or "git", "-c", "protocol.file.allow=always")


class HostileRepository:
    """Makes the folders `work` (the repository), `outside` and `home` below one folder."""

    def __init__(self, folder: Path) -> None:
        self.top = folder.resolve()
        self.work, self.outside, self.home = self.top / "work", self.top / "outside", self.top / "home"
        self.canary = self.top / "canary"
        """The program that the repository's configuration names wherever it can."""
        for place in (self.work, self.outside, self.home / ".ssh"):
            place.mkdir(parents=True)
        self.canary.write_text("#!/bin/sh\necho canary\n")
        self.canary.chmod(0o755)
        (self.outside / "secret.txt").write_text("outside\n")
        (self.home / ".ssh" / "id_rsa").write_text("key\n")
        self._write_files()
        self._make_repository()

    def environment(self) -> dict[str, str]:
        """Return the variables of the person at the client."""
        return {"PATH": PROGRAMS, "HOME": str(self.home), "LANG": "C.UTF-8", "TZ": "UTC", "SHELL": "/bin/bash"}

    def _write_files(self) -> None:
        files = {
            "README.md": "# App\n\nTODO: rm -rf x\nfoo bar\n",
            "package.json": '{"name": "app", "version": "1.0.0", "scripts": {"test": "jest"}}\n',
            "data.csv": "a,1\nb,2\nc,3\n",
            "words.txt": "b\na\nb\n",
            "a.bin": "\0\1\2text of eight\n",
            "src/main.py": "import os\n\n\ndef main():\n    return 'foo'\n",
            "src/util.py": "def helper():\n    pass\n",
            "lib/app.dart": "class App extends Widget {}\n",
            "lib/src/model.dart": "// TODO foo\nclass Model {}\n",
            "docs/guide.md": "guide\n",
            "SHA256SUMS": "",
            ".env": "KEY=secret foo\n",
            "conf/prod.env": "KEY=secret foo\n",
            "conf/.env.local": "KEY=secret foo\n",
            "conf/server.pem": "secret foo\n",
            "conf/ID_RSA": "secret foo\n",
            ".ssh/config": "secret foo\n",
            "conf2/server.pem": "other secret foo\n",
            "-rf": "named like an option\n",
            "--output=x": "named like an option\n",
            "src/-o": "named like an option\n",
            "docs/@args": "--output=x\n",
        }
        for name, text in files.items():
            path = self.work / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        (self.work / "lib" / "vendor").symlink_to(self.outside)

    def _make_repository(self) -> None:
        def git(*words: str, where: Path = self.work) -> None:
            names = {
                f"GIT_{role}_{part}": "a@example.org" for role in ("AUTHOR", "COMMITTER") for part in ("NAME", "EMAIL")
            }
            environment = self.environment() | names | {"GIT_CONFIG_NOSYSTEM": "1"}
            subprocess.run(
                [*_GIT, *words],
                cwd=where,
                env=environment,
                check=True,
                capture_output=True,
            )

        part = self.top / "part"
        part.mkdir()
        git("init", "-q", where=part)
        (part / "x").write_text("x\n")
        git("add", "x", where=part)
        git("commit", "-qm", "part", where=part)
        git("init", "-q", "-b", "main")
        (self.work / ".gitattributes").write_text("*.md diff=evil\n*.py diff=worse\n")
        (self.work / ".gitignore").write_text(".env\nconf\nconf2\n.ssh\n")
        git("submodule", "add", "-q", str(part), "part")
        git("add", "README.md", "src", "lib/app.dart", "docs/guide.md", ".gitattributes", ".gitignore", "package.json")
        git("commit", "-qm", "first")
        git("tag", "v1.0.0")
        (self.work / "README.md").write_text("# App\n\nchanged foo\n")
        git("commit", "-qam", "second")
        (self.work / "src" / "main.py").write_text("print('stashed')\n")
        git("stash")
        (self.work / "src" / "main.py").write_text("print('changed')\n")
        (self.work / "part" / "x").write_text("changed\n")
        canary = str(self.canary)
        settings = {
            "diff.external": canary,
            "diff.evil.textconv": canary,
            "diff.worse.command": canary,
            "core.fsmonitor": canary,
            "core.pager": canary,
            "core.hooksPath": str(self.top),
            "core.editor": canary,
            "core.sshCommand": canary,
            "log.showSignature": "true",
            "gpg.program": canary,
            "format.pretty": "%h %G?",
            "pretty.mine": "%G?",
            "diff.submodule": "diff",
            "submodule.part.ignore": "none",
            "alias.st": f"!{canary}",
            "pager.log": canary,
            "interactive.diffFilter": canary,
            "credential.helper": canary,
            "remote.origin.url": f"ext::{canary}",
        }
        for key, value in settings.items():
            git("config", key, value)
        inner = self.work / ".git" / "modules" / "part"
        git("config", "--file", str(inner / "config"), "core.fsmonitor", canary)
        git("config", "--file", str(inner / "config"), "diff.external", canary)
