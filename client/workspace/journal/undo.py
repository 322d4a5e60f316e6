"""Take back what the last turn changed, where what it left is still there; an undo is a turn and can be taken back."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from client.workspace.content.reading import bytes_of
from client.workspace.files import make_folder, remove_file, remove_folder, replace_file
from client.workspace.folder import Located, Refusal, Workspace, listed, reason_of
from client.workspace.journal.journal import Change, Journal, Turn
from client.workspace.precondition import sha256_of


@dataclass
class UndoReport:
    """What an undo did, by path."""

    restored: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    conflicts: dict[str, str] = field(default_factory=dict)
    """The paths that were left as they are, each with the reason."""

    def lines(self) -> list[str]:
        """Say it for a person, one line per path."""
        return [
            *(f"put back: {path}" for path in self.restored),
            *(f"removed: {path}" for path in self.removed),
            *(f"left as it is: {path} ({reason})" for path, reason in self.conflicts.items()),
        ]


def undo(workspace: Workspace, journal: Journal, session: str | None, *, redo: bool = False) -> UndoReport | None:
    """Take back the last turn of a session (None: of any), or with `redo` the last undo; None where there is none.

    The agents of that session are told with its next request.
    """
    turn = journal.latest(session, is_undo=redo)
    if turn is None:
        return None
    journal.begin_turn(turn.session, undoes=turn.id)
    report = UndoReport()
    for change in _net(turn):
        try:
            _take_back(workspace, journal, change, report)
        except Refusal as refusal:
            report.conflicts[change.path] = str(refusal).rstrip(".")
        except OSError as error:
            report.conflicts[change.path] = reason_of(error)
    changed = [*report.restored, *report.removed]
    if changed:
        verb = "took back an undo of" if redo else "undid"
        named = listed(changed)
        journal.tell(turn.session, f"The user {verb} your last changes; the contents of {named} changed.")
    return report


def _net(turn: Turn) -> Iterable[Change]:
    """What a turn made of each path as a whole, the last changed first; what others wrote in between stays."""
    net: dict[tuple[str, str], Change] = {}
    for change in reversed(turn.changes):
        key = (change.path, change.kind)
        later = net.get(key)
        if later is None or change.unkept is not None:
            net[key] = change
        elif later.unkept is None and later.before == change.after:
            net[key] = replace(change, after=later.after, mode=later.mode if change.mode is None else change.mode)
    return [change for change in net.values() if change.before != change.after or change.unkept is not None]


def _take_back(workspace: Workspace, journal: Journal, change: Change, report: UndoReport) -> None:
    if change.unkept is not None:
        raise Refusal(change.unkept)
    located = workspace.locate_for_write(change.path)
    if located.name != change.path:
        raise Refusal("a link leads elsewhere now")
    if change.kind == "folder":
        _take_back_folder(workspace, change, located, report)
        return
    now = bytes_of(workspace, located)
    digest = None if now is None else sha256_of(now)
    if digest == change.before:
        return
    if digest != change.after:
        raise Refusal("it was changed since" if now is not None else "it was removed since")
    if change.before is None:
        remove_file(workspace, located, now)
        report.removed.append(change.path)
    else:
        content = journal.content(change.before)
        replace_file(workspace, located, content, before=now, keeps_backup=False, create_dirs=True, mode=change.mode)
        report.restored.append(change.path)


def _take_back_folder(workspace: Workspace, change: Change, located: Located, report: UndoReport) -> None:
    if change.before is not None:
        if make_folder(workspace, located, 0o777 if change.mode is None else change.mode):
            report.restored.append(change.path)
    elif located.file is not None:
        remove_folder(workspace, located)
        report.removed.append(change.path)
