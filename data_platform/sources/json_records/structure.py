"""What the records of JSON files are made of: their keys, level by level, and what each holds.

Called by `query`. Everything is decided over all records, by statements that stream
through them: nothing grows with their number.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Flag, auto

from data_platform.engine.session import Session
from data_platform.errors import SourceError
from data_platform.plan.sql.expressions import literal

KeyPath = tuple[str, ...]
"""The keys that lead to a value; empty for the record itself."""

MAX_KEYS = 1_000
"""Keys of one object, over all records: one with more is a map, and stays JSON text."""
MAX_DEPTH = 16
"""Objects in one another that become columns; what is deeper stays JSON text."""
MAX_PATHS = 4_000
"""Different keys at all levels."""
SAMPLE = 1_000
"""Records that are looked at first, so that all of them need be read once in the usual case."""


class Kind(Flag):
    """What values are; several where records differ."""

    NONE = 0
    NULL = auto()
    TEXT = auto()
    BOOLEAN = auto()
    INTEGER = auto()
    """Within what a double holds exactly."""
    LONG = auto()
    """Within 64 bits."""
    BIG = auto()
    """Of up to 38 digits."""
    FRACTION = auto()
    """A number with a fraction or an exponent."""
    HUGE = auto()
    """A number beyond 38 digits, or beyond a double."""
    LIST = auto()
    OBJECT = auto()


NUMBERS = Kind.INTEGER | Kind.LONG | Kind.BIG | Kind.FRACTION | Kind.HUGE
_KINDS: Mapping[str | None, Kind] = {
    None: Kind.NONE,
    "NULL": Kind.NULL,
    "VARCHAR": Kind.TEXT,
    "BOOLEAN": Kind.BOOLEAN,
    "UBIGINT": Kind.INTEGER,
    "BIGINT": Kind.INTEGER,
    "DOUBLE": Kind.FRACTION,
    "ARRAY": Kind.LIST,
    "OBJECT": Kind.OBJECT,
}
"""By DuckDB's name; which kind of number is looked at after."""
_NUMBER = f"""CASE
    WHEN REGEXP_FULL_MATCH(value, '-?[0-9]+') THEN CASE
        WHEN TRY_CAST(value AS BIGINT) BETWEEN -{2**53} AND {2**53} THEN 'INTEGER'
        WHEN TRY_CAST(value AS BIGINT) IS NOT NULL THEN 'LONG'
        WHEN LENGTH(LTRIM(value, '-')) <= 38 THEN 'BIG' ELSE 'HUGE' END
    WHEN ISINF(TRY_CAST(value AS DOUBLE)) AND value NOT LIKE '%nf%' THEN 'HUGE'
    ELSE 'FRACTION' END"""


@dataclass
class Structure:
    """What was found so far.

    Attributes:
        keys: of each object, in the order in which records have them.
        kinds: of the values at each path.
        number: of records in which each path is there.
        key_number: how often each path stands in records: more than `number` where a key is twice
            in one object.
    """

    keys: dict[KeyPath, list[str]] = field(default_factory=dict[KeyPath, list[str]])
    kinds: dict[KeyPath, Kind] = field(default_factory=lambda: {(): Kind.NONE})
    number: dict[KeyPath, int] = field(default_factory=dict[KeyPath, int])
    key_number: dict[KeyPath, int] = field(default_factory=dict[KeyPath, int])

    def is_object(self, path: KeyPath) -> bool:
        """Whether all values at a path are objects or null, few and shallow enough for columns."""
        return (
            bool(self.kinds[path] & Kind.OBJECT)
            and not self.kinds[path] & ~(Kind.OBJECT | Kind.NULL)
            and len(path) < MAX_DEPTH
            and len(self.keys.get(path, ())) <= MAX_KEYS
        )

    def leaves(self, path: KeyPath = ()) -> Iterable[KeyPath]:
        """The paths of columns: values that aren't objects, and objects without a key."""
        if not self.is_object(path) or (path and not self.keys[path]):
            yield path
            return
        for key in self.keys[path]:
            yield from self.leaves((*path, key))


def structure_of(session: Session, records: str) -> Structure:
    """The structure of all records.

    Args:
        session: that may read them.
        records: a SELECT of a column `json`.

    Raises:
        SourceError: they have too many keys, or one twice in an object.
    """
    found = Structure()
    _grow(session, f"SELECT json FROM ({records}) LIMIT {SAMPLE}", found)
    _grow(session, records, found)
    if len(found.keys.get((), ())) > MAX_KEYS:
        raise SourceError(f"the records have more than {MAX_KEYS:,} different keys in all")
    for path, number in found.key_number.items():
        if found.is_object(path[:-1]) and number > found.number[path]:
            raise SourceError(
                f"key {shown(path)} stands twice in one object, and JSON says not which counts"
            )
    _tell_numbers(session, records, found)
    return found


def pointer(path: KeyPath) -> str:
    """A path as a JSON pointer, into which any key fits."""
    return "".join("/" + key.replace("~", "~0").replace("/", "~1") for key in path)


def pointers(paths: Sequence[KeyPath]) -> str:
    """Paths as a list of SQL."""
    return f"[{', '.join(literal(pointer(path)) for path in paths)}]"


def shown(path: KeyPath) -> str:
    """A path for people."""
    return repr(".".join(path))


def _grow(session: Session, records: str, found: Structure) -> None:
    """Look at each path once, and at those that turn up on the way."""
    looked_at = set[KeyPath]()
    opened = set[KeyPath]()
    while True:
        if paths := [path for path in found.kinds if path not in looked_at]:
            looked_at.update(paths)
            _look_at_kinds(session, records, paths, found)
        objects = [path for path in found.kinds if path not in opened and found.is_object(path)]
        if not objects:
            return
        opened.update(objects)
        _look_at_keys(session, records, objects, found)
        if len(found.kinds) > MAX_PATHS:
            raise SourceError(
                f"the records have more than {MAX_PATHS:,} different keys in all: too many columns"
            )


def _look_at_kinds(
    session: Session, records: str, paths: Sequence[KeyPath], found: Structure
) -> None:
    rows = session.rows(
        "SELECT nth, kind, COUNT(*) FROM "
        f"(SELECT UNNEST(json_type(json, {pointers(paths)})) AS kind, "
        f"UNNEST(RANGE({len(paths)})) AS nth FROM ({records})) GROUP BY ALL"
    )
    found.number.update(dict.fromkeys(paths, 0))
    for at, kind, number in rows:
        found.kinds[paths[at]] |= _KINDS[kind]
        found.number[paths[at]] += number if kind is not None else 0


def _look_at_keys(
    session: Session, records: str, objects: Sequence[KeyPath], found: Structure
) -> None:
    rows = session.rows(
        "SELECT nth, key, COUNT(*) FROM (SELECT nth, UNNEST(keys) AS key, "
        "GENERATE_SUBSCRIPTS(keys, 1) AS place FROM "
        f"(SELECT UNNEST(json_keys(json, {pointers(objects)})) AS keys, "
        f"UNNEST(RANGE({len(objects)})) AS nth FROM ({records}))) GROUP BY nth, key "
        f"QUALIFY ROW_NUMBER() OVER (PARTITION BY nth ORDER BY MIN(place), key) <= {MAX_KEYS + 1} "
        "ORDER BY nth, MIN(place), key"
    )
    found.keys.update({path: [] for path in objects})
    for at, key, number in rows:
        found.keys[objects[at]].append(key)
        found.key_number[(*objects[at], key)] = number
    for path in objects:
        if found.is_object(path):
            for key in found.keys[path]:
                found.kinds.setdefault((*path, key), Kind.NONE)


def _tell_numbers(session: Session, records: str, found: Structure) -> None:
    """Which kinds of numbers there are, where there are numbers."""
    paths = [path for path in found.leaves() if found.kinds[path] & NUMBERS]
    if not paths:
        return
    rows = session.rows(
        f"SELECT DISTINCT nth, {_NUMBER} FROM (SELECT "
        f"UNNEST(json_type(json, {pointers(paths)})) AS kind, "
        f"UNNEST(json_extract_string(json, {pointers(paths)})) AS value, "
        f"UNNEST(RANGE({len(paths)})) AS nth FROM ({records})) "
        "WHERE kind IN ('UBIGINT', 'BIGINT', 'DOUBLE')"
    )
    for path in paths:
        found.kinds[path] &= ~NUMBERS
    for at, name in rows:
        found.kinds[paths[at]] |= Kind[name]
