"""Programs that always need approval, each family with its reason; none may be added to commands.toml."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from policy.verdicts.verdict import ReasonCode


@dataclass(frozen=True)
class Family:
    """Programs that ask for the same reason."""

    code: ReasonCode
    text: str
    names: frozenset[str]
    is_lasting: bool = False
    """Whether no rule and no grant lifts it: the program runs whatever its arguments name."""
    is_grantable: bool = True
    """Whether a person may grant it for the session."""


def names_of(text: str) -> frozenset[str]:
    """Return the words of a text as a set."""
    return frozenset(text.split())


FAMILIES: tuple[Family, ...] = (
    Family(
        "command.wrapper",
        "runs the program that its arguments name, so its own name proves nothing",
        names_of(
            "sudo su doas pkexec runuser env timeout nohup nice ionice chrt taskset time command exec builtin "
            "xargs parallel watch setsid stdbuf unbuffer script expect strace ltrace gdb chroot unshare nsenter "
            "flock entr busybox toybox coproc eval source . trap caffeinate systemd-run at batch crontab start "
            "screen tmux runas"
        ),
        is_lasting=True,
        is_grantable=False,
    ),
    Family(
        "command.interpreter",
        "is an interpreter: it runs whatever text it is given",
        names_of(
            "sh bash zsh dash ksh fish csh tcsh ash rbash pwsh powershell powershell.exe cmd cmd.exe wsl python "
            "python2 python3 pypy pypy3 ipython node nodejs deno bun ruby irb perl php lua luajit Rscript R julia "
            "tclsh wish awk gawk mawk nawk osascript jshell scala groovy ghci elixir iex erl ts-node tsx swipl "
            "sqlite3 psql mysql"
        ),
        is_lasting=True,
        is_grantable=False,
    ),
    Family(
        "command.install",
        "downloads and runs packages that were not reviewed",
        names_of("npx pnpx bunx uvx pipx dlx"),
        is_lasting=True,
        is_grantable=False,
    ),
    Family(
        "command.install",
        "installs packages, which may run untrusted code",
        names_of(
            "pip pip2 pip3 apt apt-get aptitude dpkg yum dnf rpm pacman zypper apk brew port snap flatpak gem "
            "choco winget scoop conda mamba"
        ),
        is_grantable=False,
    ),
    Family(
        "command.network",
        "connects to the network, by which data can leave",
        names_of(
            "curl wget http https httpie aria2c nc ncat netcat socat telnet ftp sftp scp ssh rsync ping ping6 "
            "traceroute dig nslookup host whois mail sendmail gh glab aws gcloud az kubectl helm terraform "
            "docker-compose iwr irm ngrok"
        ),
        is_grantable=False,
    ),
    Family(
        "command.change",
        "deletes, overwrites or changes files",
        names_of(
            "rm rmdir unlink shred mv dd chmod chown chgrp chattr setfacl truncate install ln mkfs fdisk parted "
            "mount umount kill killall pkill del erase rd ren move copy xcopy robocopy attrib icacls Remove-Item "
            "Move-Item Copy-Item Set-Content Out-File Invoke-Expression Invoke-WebRequest Start-Process reboot "
            "shutdown halt poweroff init systemctl service useradd userdel passwd"
        ),
        is_grantable=False,
    ),
    Family(
        "command.change",
        "creates or writes files",
        names_of(
            "cp tee touch mkdir mktemp split csplit patch tar zip unzip gzip gunzip bzip2 xz 7z unrar cpio ar "
            "base64 sponge"
        ),
        is_grantable=False,
    ),
    Family(
        "command.environment",
        "shows or changes the environment, which holds secrets or decides what later commands mean",
        names_of(
            "printenv set export unset declare typeset local readonly alias unalias hash enable shopt setopt read "
            "mapfile umask ulimit history fc"
        ),
        is_grantable=False,
    ),
    Family(
        "command.interactive",
        "is interactive or never ends",
        names_of("less more most man info vi vim nvim nano emacs ed ex pico top htop yes tmux mc fzf journalctl dmesg"),
        is_grantable=False,
    ),
    Family(
        "command.project_code",
        "runs code of the project, or settings and plugins that are code",
        names_of(
            "flutter dart npm yarn pnpm pytest tox nox mypy ruff black flake8 pylint eslint prettier tsc jest "
            "vitest mocha webpack vite rollup cargo rustc go gofmt gradle gradlew mvn ant make gmake cmake ninja "
            "bazel buck meson dotnet msbuild xcodebuild swift pod fastlane melos fvm composer phpunit bundle rake "
            "rspec rails mix sbt lein stack cabal uv poetry pdm hatch pre-commit docker podman vagrant ansible "
            "ansible-playbook just task turbo nx lerna javac java gcc g++ clang cc"
        ),
    ),
)

ALWAYS_ASK: Mapping[str, Family] = {name: family for family in reversed(FAMILIES) for name in family.names}
"""Each program with its family; where two name it, the stricter one, which is listed first."""
