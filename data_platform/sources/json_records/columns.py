"""Which columns the records of JSON become, and of which types: pure decisions.

Called by `query` with what `structure` found and the types that the table's columns have.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from data_platform.errors import SourceError
from data_platform.plan.conversions import Conversion, inexact
from data_platform.plan.sql.expressions import quoted
from data_platform.sources.json_records.structure import KeyPath, Kind, Structure, shown

JOINT = "__"
"""Between the keys of a column's name."""
VALUE = "value"
"""The column of records that are no objects."""
NAMELESS = "_"
"""The column of the empty key."""
_EXACT = (
    (Kind.TEXT, "VARCHAR"),
    (Kind.BOOLEAN, "BOOLEAN"),
    (Kind.INTEGER | Kind.LONG, "BIGINT"),
    (Kind.INTEGER | Kind.LONG | Kind.BIG, "DECIMAL(38,0)"),
    (Kind.INTEGER | Kind.FRACTION, "DOUBLE"),
)
"""Types that hold all values of these kinds as they are, the first that does."""


@dataclass(frozen=True)
class Field:
    """A column, and where its values are.

    Attributes:
        name: of the column.
        path: the keys that lead to it; None where no record has them.
        type: in DuckDB's words.
        kind: of the values.
    """

    name: str
    path: KeyPath | None
    type: str
    kind: Kind = Kind.NONE


class Misfit(Exception):
    """A value stands where it can't be; which one is to be looked for.

    Attributes:
        path: where it stands.
        condition: true for it, over its `kind` as DuckDB names it and its text `value`.
        expected: what it should be, in words that follow on its own.
    """

    def __init__(self, path: KeyPath, condition: str, expected: str) -> None:
        self.path, self.condition, self.expected = path, condition, expected
        super().__init__(expected)


def fields_of(structure: Structure, types: Mapping[str, str]) -> list[Field]:
    """The columns of all records, those that are known and missing in all of them included.

    Args:
        structure: of the records.
        types: of known columns.

    Raises:
        SourceError: two keys make one column.
        Misfit: a value isn't an object where others are.
    """
    known = {name.lower(): name for name in types}
    fields: dict[str, Field] = {}
    for path in _leaves(structure, known):
        written = name_of(path)
        name = known.get(written.lower(), written)
        other = fields.get(name.lower())
        if other is not None and other.path is not None:
            raise SourceError(
                f"keys {shown(other.path)} and {shown(path)} would both be column {name}: "
                "names of columns differ by more than upper and lower case, and objects in "
                f"objects are joined by {JOINT}"
            )
        kind = structure.kinds[path]
        fields[name.lower()] = Field(name, path, types.get(name) or type_of(kind), kind)
    missing = [Field(name, None, types[name]) for low, name in known.items() if low not in fields]
    return [*fields.values(), *missing]


def name_of(path: KeyPath) -> str:
    """The name of the column at a path."""
    return (JOINT.join(path) or NAMELESS) if path else VALUE


def type_of(kind: Kind) -> str:
    """The type that holds values of these kinds as they are; text where there is none."""
    for kinds, type_ in _EXACT:
        if not kind & ~(kinds | Kind.NULL):
            return type_
    return "VARCHAR"


def misfit(field: Field, kind: str, value: str) -> str | None:
    """A condition that is true for a value that the column's known type can't hold as it is.

    Args:
        field: the column.
        kind: the name of a column with DuckDB's name of the value's kind.
        value: the name of a column with the value's text.

    Returns:
        None where all values fit.
    """
    if field.path is None or field.type == "VARCHAR" or _holds(field):
        return None
    k, v = quoted(kind), quoted(value)
    if field.type.endswith("[]"):
        there = f"TRY_CAST(CAST({v} AS JSON) AS {field.type})"
        return f"{v} IS NOT NULL AND ({k} <> 'ARRAY' OR TO_JSON({there}) IS DISTINCT FROM {v})"
    lost = inexact(value, Conversion(field.type, field.type))
    if field.type == "BOOLEAN":
        return f"{v} IS NOT NULL AND ({k} NOT IN ('BOOLEAN', 'VARCHAR') OR {lost})"
    return f"{v} IS NOT NULL AND ({k} IN ('ARRAY', 'OBJECT') OR {lost})"


def _holds(field: Field) -> bool:
    return any(
        field.type == type_ and not field.kind & ~(kinds | Kind.NULL) for kinds, type_ in _EXACT
    )


def _leaves(structure: Structure, known: Mapping[str, str]) -> Iterable[KeyPath]:
    """The paths of columns. An object whose own column is known stays whole, as JSON text."""
    root = structure.kinds[()]
    if not root & Kind.OBJECT:
        if root & ~Kind.NULL or (root and not known):
            yield ()
        return
    if root & ~(Kind.OBJECT | Kind.NULL):
        raise Misfit((), "kind NOT IN ('OBJECT', 'NULL')", "the other records are objects")
    for key in structure.keys[()]:
        yield from _leaves_below(structure, (key,), known)


def _leaves_below(
    structure: Structure, path: KeyPath, known: Mapping[str, str]
) -> Iterable[KeyPath]:
    name = name_of(path).lower()
    below = _known_below(name, known) if name not in known else None
    if structure.is_object(path) and name not in known and structure.keys[path]:
        for key in structure.keys[path]:
            yield from _leaves_below(structure, (*path, key), known)
    elif below is None:
        yield path
    elif structure.kinds[path] & ~(Kind.OBJECT | Kind.NULL):
        expected = f"the table has the columns of an object there, such as {below}"
        raise Misfit(path, "kind NOT IN ('OBJECT', 'NULL')", expected)
    elif structure.keys.get(path):
        raise SourceError(
            f"{shown(path)} has more keys, or is deeper, than an object that becomes columns; the "
            f"table has such columns, as {below}"
        )


def _known_below(name: str, known: Mapping[str, str]) -> str | None:
    """A known column of an object's key."""
    return next((known[low] for low in known if low.startswith(name + JOINT)), None)
