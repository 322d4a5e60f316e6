"""Records: the fields of a frozen dataclass are the only list of a table's columns and their types."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, fields
from functools import cache
from types import NoneType, SimpleNamespace, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from json_text import storable

Kind = Literal["plain", "flag", "json"]
COMPUTED: Mapping[str, bool] = {"computed": True}
"""The metadata of a field that a statement computes: part of the row, but no column of the table."""
Record = TypeVar("Record")


@dataclass(frozen=True)
class Column:
    """One field of a record: booleans are stored as 0 and 1, all but scalars as JSON text."""

    name: str
    kind: Kind
    default: Any
    """The default of the field, or MISSING."""
    is_computed: bool


@cache
def columns_of(record: Any) -> tuple[Column, ...]:
    """The columns of a record's table, in the order of its fields."""
    hints = get_type_hints(record)
    found = []
    for field in fields(record):
        default = field.default_factory if field.default_factory is not MISSING else field.default
        found.append(Column(field.name, _kind(hints[field.name]), default, bool(field.metadata.get("computed"))))
    return tuple(found)


def _kind(hint: Any) -> Kind:
    parts = set(get_args(hint)) - {NoneType} if get_origin(hint) in (Union, UnionType) else {hint}
    if parts == {bool}:
        return "flag"
    return "plain" if all(part in (str, int, float) or get_origin(part) is Literal for part in parts) else "json"


def names_of(record: type) -> str:
    """The columns as a statement lists them."""
    return ", ".join(column.name for column in columns_of(record) if not column.is_computed)


def read(record: Callable[..., Record], row: Any) -> Record:
    """Make a record from a row that has its columns, by name."""
    return record(**{column.name: _loaded(column.kind, getattr(row, column.name)) for column in columns_of(record)})


def read_object(record: Callable[..., Record], written: str | None) -> Record | None:
    """Make a record from a row that a statement gives as a JSON object."""
    return read(record, SimpleNamespace(**json.loads(written))) if written else None


def read_objects(record: Callable[..., Record], written: str | None) -> tuple[Record, ...]:
    """Make records from rows that a statement gives as a JSON array of objects."""
    return tuple(read(record, SimpleNamespace(**found)) for found in json.loads(written or "[]"))


def _loaded(kind: Kind, value: Any) -> Any:
    if value is None or kind == "plain":
        return value
    return bool(value) if kind == "flag" else json.loads(value)


def stored(record: type, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return values by field as the table stores them; an absent field takes its default, KeyError without one."""
    return {
        column.name: stored_value(_value(column, values), column.kind)
        for column in columns_of(record)
        if not column.is_computed
    }


def _value(column: Column, values: Mapping[str, Any]) -> Any:
    if column.name in values or column.default is MISSING:
        return values[column.name]
    return column.default() if callable(column.default) else column.default


def stored_value(value: Any, kind: Kind = "json") -> Any:
    """Return one value as it is stored; None is null, in JSON columns too."""
    if value is None:
        return None
    if kind == "flag":
        return int(value)
    return storable(value) if kind == "plain" else json.dumps(storable(value), ensure_ascii=False)
