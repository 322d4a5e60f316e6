"""Restricts its own process with Landlock and executes a program; runs alone, on the standard library only.

python -I -S landlock_launcher.py '{"read": [...], "write": [...], "connect": false}' PROGRAM ARGUMENT...
"""

import ctypes
import functools
import json
import os
import sys

MIN_ABI = 4
"""The first version that restricts TCP connections (Linux 6.7)."""

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_RULE_PATH_BENEATH = 1
_VERSION_FLAG = 1
_PR_SET_NO_NEW_PRIVS = 38
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_TRUNCATE, _IOCTL_DEVICE = 1 << 14, 1 << 15
_ALL_FILE_RIGHTS = (1 << 15) - 1
_TCP_RIGHTS = (1 << 0) | (1 << 1)
_SCOPES = (1 << 0) | (1 << 1)
_READING = _EXECUTE | _READ_FILE | _READ_DIR
_OF_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL_DEVICE


class _Ruleset(ctypes.Structure):
    _fields_ = (("files", ctypes.c_uint64), ("network", ctypes.c_uint64), ("scoped", ctypes.c_uint64))


class _PathBeneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("allowed", ctypes.c_uint64), ("parent", ctypes.c_int32))


@functools.cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def abi_version() -> int:
    """Return the version of Landlock in this kernel, 0 where there is none."""
    return max(0, int(_libc().syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint32(_VERSION_FLAG))))


def restrict(read: list[str], write: list[str], *, connect: bool) -> None:
    """Let this process and its children read and write only below these paths, and connect only if they may."""
    version = abi_version()
    if version < MIN_ABI:
        raise OSError("this kernel's Landlock is too old")
    everything = _ALL_FILE_RIGHTS | (_IOCTL_DEVICE if version >= 5 else 0)
    wanted = _Ruleset(everything, 0 if connect else _TCP_RIGHTS, _SCOPES if version >= 6 else 0)
    # The kernel refuses fields that it does not know.
    size = ctypes.sizeof(_Ruleset) if version >= 6 else 16
    ruleset = _checked(
        _libc().syscall(_CREATE_RULESET, ctypes.byref(wanted), ctypes.c_size_t(size), ctypes.c_uint32(0))
    )
    for path in read:
        _allow(ruleset, path, _READING)
    for path in write:
        _allow(ruleset, path, everything)
    _checked(_libc().prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
    _checked(_libc().syscall(_RESTRICT_SELF, ruleset, ctypes.c_uint32(0)))
    os.close(ruleset)


def _allow(ruleset: int, path: str, rights: int) -> None:
    parent = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        allowed = rights if os.path.isdir(path) else rights & _OF_FILES
        rule = _PathBeneath(allowed, parent)
        _checked(_libc().syscall(_ADD_RULE, ruleset, _RULE_PATH_BENEATH, ctypes.byref(rule), ctypes.c_uint32(0)))
    finally:
        os.close(parent)


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def _main() -> None:
    rules = json.loads(sys.argv[1])
    program = sys.argv[2]
    try:
        restrict(rules["read"], rules["write"], connect=rules["connect"])
        os.execvp(program, sys.argv[2:])  # noqa: S606 to become the program is the purpose
    except OSError as error:
        sys.stderr.write(f"landlock: {program}: {error.strerror or error}\n")
        sys.exit(126)


if __name__ == "__main__":
    _main()
