"""Where in a person's SQL the mistake is that DuckDB's binder found.

Called by `plan.analytics` over a statement that was refused. What runs is written anew from its
tree, so that its lines aren't the person's; here the person's own text is bound once more, with
nothing but the names of assets replaced, and DuckDB tells the character.
"""

import difflib
import functools
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import duckdb
from sqlglot import exp

from data_platform.errors import Location
from data_platform.plan.columns import Catalog
from data_platform.plan.schemas import Schema
from data_platform.plan.sql.binder import binder
from data_platform.plan.sql.expressions import parse_query, quoted
from data_platform.plan.sql.texts import place_in

_ASKED = "DESCRIBE "
_PARAMETER = re.compile(r"(?<![:\w])[:$]([a-z_][a-z0-9_]*)")
_SKIPPED = re.compile(r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|--[^\n]*|/\*.*?\*/""", re.DOTALL)
_NO_COLUMN = re.compile(r'Referenced column "?(?P<name>[^"]+?)"? not found')
_NO_COLUMN_OF = re.compile(r'"(?P<table>[^"]+)" does not have a column named "(?P<name>[^"]+)"')
_NO_COLUMN_TO_JOIN = re.compile(r'Column "(?P<name>[^"]+)" does not exist on \w+ side of join')
_NAMED = re.compile(r'Column "([^"]+)" (?:does not exist|in [A-Z]+ list not found)')
_QUALIFIED = re.compile(r'(?:(?:"[^"]*"|\w+)\s*\.\s*)+')
_SET_OPERATION = re.compile(r"\b(?:union|except|intersect)\b", re.IGNORECASE)
_CANDIDATE = re.compile(r'"([^"]+)"')


@dataclass(frozen=True)
class Mistake:
    """What DuckDB says of a person's text.

    Attributes:
        location: of the mistake.
        message: with the nearest right name of a column; None where DuckDB's own words do.
    """

    location: Location
    message: str | None


@dataclass(frozen=True)
class _Replacement:
    """A part of a text that others take the place of."""

    start: int
    end: int
    text: str


def find_mistake(
    text: str,
    location: Location,
    relations: Mapping[str, str],
    schemas: Mapping[str, Schema],
    parameters: Mapping[str, str],
) -> Mistake | None:
    """Where the binder sees the mistake; None where it can't be told from the person's text.

    Args:
        text: the statement as written, which can be read.
        location: where it begins.
        relations: by the reference as written, the relation that it stands for.
        schemas: of the relations.
        parameters: a type for each that the statement may name.
    """
    replaced = sorted(
        [
            *_references(text, location, relations),
            *_keywords(text, location),
            *_parameters(text, parameters),
        ],
        key=lambda each: each.start,
    )
    asked = f"{_ASKED}{_with(text, replaced)}"
    told = _refused(asked, schemas)
    if told is None or told.get("exception_type") == "Parser":
        return None
    message = str(told["exception_message"])
    if "position" in told:
        # DuckDB counts bytes.
        ahead = len(asked.encode()[: int(told["position"])].decode("utf-8", "replace"))
        offset = _as_written(ahead - len(_ASKED), replaced)
    else:
        offset = _of_name(text, location, message)
    if offset is None:
        return None
    if _missing(message) and (qualified := _QUALIFIED.match(text, offset)):
        offset = qualified.end()
    return Mistake(place_in(text, offset, location), _worded(message, schemas))


def _of_name(text: str, location: Location, message: str) -> int | None:
    """Where a thing stands of which a message tells no place: a name in USING, a UNION."""
    if message.startswith("Set operations"):
        found = list(_SET_OPERATION.finditer(_blanked(text)))
        return found[0].start() if len(found) == 1 else None
    named = _NAMED.search(message)
    for each in parse_query(text, location).find_all(exp.Identifier) if named else ():
        if named and each.name.lower() == named[1].lower() and "start" in each.meta:
            return int(each.meta["start"])
    return None


def _references(
    text: str, location: Location, relations: Mapping[str, str]
) -> Iterator[_Replacement]:
    """The names of assets, as the relations that stand for them; each keeps its short name."""
    for table in parse_query(text, location).find_all(exp.Table):
        relation = relations.get(".".join(part.name for part in table.parts))
        start, end = table.parts[0].meta.get("start"), table.parts[-1].meta.get("end")
        if relation is None or start is None or end is None:
            continue
        name = quoted(relation)
        called = "" if table.alias else f" AS {quoted(table.parts[-1].name)}"
        yield _Replacement(start, end + 1, f"{name}{called}")


def _keywords(text: str, location: Location) -> Iterator[_Replacement]:
    """Columns that DuckDB takes for words of its own where they aren't quoted, such as `at`."""
    for column in parse_query(text, location).find_all(exp.Column):
        name = column.this
        start, end = name.meta.get("start"), name.meta.get("end")
        if start is not None and not name.args.get("quoted") and name.name.lower() in _reserved():
            yield _Replacement(start, end + 1, quoted(name.name))


def _parameters(text: str, parameters: Mapping[str, str]) -> Iterator[_Replacement]:
    for match in _PARAMETER.finditer(_blanked(text)):
        if match[1] in parameters:
            yield _Replacement(match.start(), match.end(), f"CAST(NULL AS {parameters[match[1]]})")


def _blanked(text: str) -> str:
    """The text with blanks for what stands in quotes and comments."""
    return _SKIPPED.sub(lambda match: " " * len(match[0]), text)


def _with(text: str, replaced: Sequence[_Replacement]) -> str:
    parts: list[str] = []
    done = 0
    for each in replaced:
        parts += [text[done : each.start], each.text]
        done = each.end
    return "".join([*parts, text[done:]])


def _as_written(offset: int, replaced: Sequence[_Replacement]) -> int:
    """The character of the person's text, from the one of the text with replacements."""
    for each in replaced:
        if offset < each.start:
            break
        grown = len(each.text) - (each.end - each.start)
        offset = each.start if offset < each.start + len(each.text) else offset - grown
    return offset


def _refused(sql: str, schemas: Mapping[str, Schema]) -> dict[str, Any] | None:
    """What DuckDB has against a statement, part by part; None where it has nothing."""
    with binder(errors_as_json=True) as cursor:
        relations = Catalog(cursor)
        for relation, schema in schemas.items():
            relations.declare(relation, schema)
        try:
            cursor.execute(sql)
        except duckdb.Error as error:
            text = str(error)
            try:
                return json.loads(text[text.index("{") :])
            except ValueError:
                return None
    return None


@functools.cache
def _reserved() -> frozenset[str]:
    """Words of DuckDB's that no column is called without quotes."""
    with binder(errors_as_json=True) as cursor:
        rows = cursor.execute("SELECT keyword_name FROM duckdb_keywords()").fetchall()
    return frozenset(str(row[0]) for row in rows)


def _missing(message: str) -> re.Match[str] | None:
    first = message.partition("Candidate bindings:")[0]
    patterns = (_NO_COLUMN, _NO_COLUMN_OF, _NO_COLUMN_TO_JOIN)
    return next((found for each in patterns if (found := each.search(first))), None)


def _worded(message: str, schemas: Mapping[str, Schema]) -> str | None:
    """That there is no such column where it stands; DuckDB mostly tells those that there are."""
    missing = _missing(message)
    if missing is None:
        return None
    name = missing["name"]
    of = f" in {missing['table']}" if "table" in missing.groupdict() else ""
    known = [
        each.rpartition(".")[2]
        for each in _CANDIDATE.findall(message.partition("Candidate bindings:")[2])
    ]
    others = [] if known else [name for each in schemas.values() for name in each.names]
    near = difflib.get_close_matches(name.lower(), known or others, 1)
    if near and near[0] != name:
        return f"no column {name!r}{of or ' here'}; did you mean {near[0]!r}?"
    if known:
        return f"no column {name!r}{of or ' here'}; there is {', '.join(known)}"
    return f"no column {name!r}{of}" if of else None
