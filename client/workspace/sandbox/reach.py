"""Which parts of the machine a command sees: little without approval, what tools need when it was approved."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import platformdirs

from client.configuration import APPLICATION
from client.workspace.sandbox.boundary import Reach

# What programs are made of. Of /etc only names, locales and the loader's cache: the rest may hold credentials.
_SYSTEM = (
    *("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/opt", "/nix", "/gnu", "/snap"),
    *("/System", "/Library", "/private/var/db/dyld", "/run/current-system"),
    *("/etc/passwd", "/etc/group", "/etc/nsswitch.conf", "/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d"),
    *("/etc/alternatives", "/etc/localtime", "/etc/timezone", "/etc/locale.conf", "/etc/locale.alias", "/etc/terminfo"),
    *("/etc/magic", "/etc/gitconfig", "/etc/gitattributes", "/etc/os-release", "/etc/hosts", "/etc/mime.types"),
)
_HOME_READS = (".gitconfig", ".config/git/config", ".config/git/ignore", ".config/git/attributes", ".rustup")
# Folders that hold programs beside credentials: of these only the folder that PATH names.
_MIXED = frozenset({".local", ".cargo", ".pub-cache", ".docker", ".config", ".aws", ".ssh", ".gnupg", ".kube"})

# Cache folders by the program that fills them (none: always there), the variable that moves them, and their place.
_CACHES: tuple[tuple[str, str, str], ...] = (
    ("", "XDG_CACHE_HOME", ".cache"),
    ("npm", "npm_config_cache", ".npm"),
    ("pnpm", "", ".local/share/pnpm"),
    ("yarn", "", ".yarn/berry"),
    ("bun", "", ".bun/install/cache"),
    ("uv", "", ".local/share/uv"),
    ("dart", "PUB_CACHE", ".pub-cache"),
    ("dart", "", ".dartServer"),
    ("dart", "", ".dart-tool"),
    ("cargo", "", ".cargo/registry"),
    ("cargo", "", ".cargo/git"),
    ("go", "GOMODCACHE", "go/pkg"),
    ("java", "", ".gradle"),
    ("mvn", "", ".m2/repository"),
    ("dotnet", "", ".nuget/packages"),
    ("composer", "", ".composer/cache"),
    ("bundle", "", ".bundle/cache"),
)
_CARGO_FILES = (".cargo/.package-cache", ".cargo/.package-cache-mutate", ".cargo/.global-cache")


def reading(workspace: Path) -> Reach:
    """Return the reach of a command without approval: the workspace and programs, read-only, and no network."""
    home = Path.home().resolve()
    wanted = [Path(path) for path in _SYSTEM] + [home / path for path in _HOME_READS] + list(_tool_folders(home))
    hidden = [home / name for name in (".ssh", ".aws", ".gnupg", ".kube", ".docker", ".config/gh", ".config/gcloud")]
    readable = _outermost(_existing(path for path in wanted if not _is_within(path, workspace)))
    return Reach(workspace, False, False, readable, hidden=_existing([*hidden, *_own_folders()]))


def working(workspace: Path, *, may_connect: bool = True) -> Reach:
    """Return the reach of an approved command: it reads everything, and writes workspace, caches, temporary files."""
    temporary = [Path("/tmp"), Path("/var/tmp"), Path(tempfile.gettempdir())]  # noqa: S108 mounted, not made
    writable = _existing([*temporary, *_caches(Path.home().resolve())])
    return Reach(workspace, True, may_connect, (Path("/"),), writable, _existing(_own_folders()))


def _own_folders() -> list[Path]:
    folders = platformdirs.PlatformDirs(APPLICATION, appauthor=False)
    return [folders.user_config_path, folders.user_data_path, folders.user_state_path, folders.user_log_path]


def _tool_folders(home: Path) -> Iterator[Path]:
    """Yield where the programs of PATH live, and the interpreter of this process."""
    yield Path(sys.base_prefix)
    for entry in os.environ.get("PATH", os.defpath).split(os.pathsep):
        if not os.path.isabs(entry):
            continue
        folder = Path(entry).resolve()
        tree = folder.parent if folder.name in {"bin", "shims"} else folder
        if tree == home or (home in folder.parents and _MIXED.intersection(tree.relative_to(home).parts)):
            tree = folder
        if tree != Path("/") and tree != home and tree not in home.parents:
            yield tree


def _caches(home: Path) -> Iterator[Path]:
    for program, variable, name in _CACHES:
        if program and shutil.which(program) is None:
            continue
        folder = Path(os.environ.get(variable) or home / name) if variable else home / name
        folder.mkdir(parents=True, exist_ok=True)
        yield folder
    if shutil.which("cargo"):
        for name in _CARGO_FILES:
            (home / name).touch()
            yield home / name
    flutter = shutil.which("flutter")
    if flutter:
        yield Path(flutter).resolve().parent / "cache"
    if sys.platform == "darwin":
        yield home / "Library/Caches"


def _existing(paths: Iterable[Path]) -> tuple[Path, ...]:
    """Return the paths that exist; one that a link moved to the root, the home or above it is left out."""
    home = Path.home().resolve()
    found: dict[Path, None] = {}
    for path in paths:
        resolved = Path(os.path.realpath(path))
        if resolved.exists() and resolved != home and resolved not in home.parents:
            # A link of the system's root, such as /bin, keeps its name: programs are called by it.
            found[path if path.is_symlink() and path.parent == Path("/") else resolved] = None
    return tuple(found)


def _outermost(paths: tuple[Path, ...]) -> tuple[Path, ...]:
    return tuple(path for path in paths if not set(path.parents).intersection(paths))


def _is_within(path: Path, folder: Path) -> bool:
    return path == folder or folder in path.parents
