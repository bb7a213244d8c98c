"""The SQL of an analytics asset: its text and place, the columns that it gives, its contract.

Called by `plan.building`, which knows what the SQL may read.
"""

import difflib
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace

from data_platform.errors import ConfigurationError, Location, Problem
from data_platform.plan.columns import BindingError, catalog, schema_of
from data_platform.plan.naming import RESERVED_COLUMNS
from data_platform.plan.schemas import UNKNOWN_SCHEMA, Schema
from data_platform.plan.sql.places import find_mistake
from data_platform.plan.sql.queries import culprit
from data_platform.spec.pipeline import AnalyticsAsset
from data_platform.spec.reading import PipelineFile


def sql_text(
    file: PipelineFile, spec: AnalyticsAsset, at: Callable[..., Location]
) -> tuple[str, Location]:
    """The SQL of an asset, in its YAML or in a file beside it, and where it begins."""
    if spec.query is not None:
        return spec.query, start_of_block(at("query"))
    path = file.folder / str(spec.sql)
    try:
        return path.read_text(encoding="utf-8"), Location(path)
    except (OSError, UnicodeDecodeError) as error:
        raise _problem(at("sql"), f"{path} can't be read: {error}") from None


@contextmanager
def indented(spec: AnalyticsAsset, key: Location) -> Generator[None]:
    """Columns of a block of SQL count from its indentation, which YAML takes away."""
    try:
        yield
    except ConfigurationError as error:
        raise ConfigurationError(
            [
                replace(problem, location=place_in_file(spec, key, problem.location))
                for problem in error.problems
            ]
        ) from None


def place_in_file(spec: AnalyticsAsset, key: Location, place: Location) -> Location:
    """Where a place of an asset's SQL is in its file: what YAML took away of a line is counted.

    Args:
        spec: the asset.
        key: of its `query`.
        place: as if lines of a block began where the SQL begins; others stay as they are.
    """
    start = start_of_block(key) if spec.query is not None else key
    if spec.query is None or start.line == key.line or place.file != key.file:
        return place
    if not start.line <= place.line <= start.line + spec.query.count("\n"):
        return place
    lines = key.file.read_text(encoding="utf-8").splitlines()[start.line - 1 :]
    first = next((line for line in lines if line.strip()), "")
    return replace(place, column=place.column + len(first) - len(first.lstrip()))


def query_schema(
    sql: str,
    schemas: Mapping[str, Schema],
    text: str,
    location: Location,
    references: Mapping[str, str],
    binds: Mapping[str, str],
) -> Schema:
    """The columns that a statement gives; unknown where those of its inputs are.

    Args:
        sql: the statement that runs.
        schemas: of the relations that it reads.
        text: as a person wrote it.
        location: where that begins.
        references: by the reference as written, the relation that it stands for.
        binds: the types of bind parameters, by name.

    Raises:
        ConfigurationError: it doesn't fit the columns, or gives what the lake can't keep.
    """
    known = all(
        schema.closed and all(column.type for column in schema.columns)
        for schema in schemas.values()
    )
    with catalog() as relations:
        for relation, schema in schemas.items():
            relations.declare(relation, schema)
        try:
            described = relations.describe(sql, binds, _names(schemas))
        except BindingError as error:
            if not known:
                return UNKNOWN_SCHEMA
            found = find_mistake(text, location, references, schemas, binds)
            place = found.location if found else culprit(text, location, error.raw)
            raise _problem(place, (found and found.message) or error.message) from None
    schema = schema_of(described)
    unkept = [f"{name} is {kind}" for name, kind in described if kind and schema[name].type is None]
    if unkept:
        raise _problem(location, f"the lake can't keep this type: {unkept[0]}; cast it to another")
    names = [name.lower() for name in schema.names]
    reserved = next((name for name in names if name in RESERVED_COLUMNS), None)
    if reserved:
        raise _problem(
            location, f"{reserved!r} is a name that the platform needs: give it an alias"
        )
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice:
        raise _problem(location, f"two columns are called {twice!r}: give one an alias")
    return schema if known else Schema(schema.columns, closed=False)


def _names(schemas: Mapping[str, Schema]) -> list[str]:
    return list(dict.fromkeys(name for schema in schemas.values() for name in schema.names))


def hold_to_contract(contract: Schema | None, schema: Schema, at: Callable[..., Location]) -> None:
    """What the SQL gives must be what its contract promises."""
    problems: list[Problem] = []
    for column in contract.columns if contract and schema.closed else ():
        if column.name not in schema:
            near = _nearly(column.name, schema.names)
            message = f"the SQL gives no column {column.name!r}; {near}"
            problems.append(Problem(at("columns", column.name), message))
        elif column.type and column.type != schema[column.name].type:
            message = (
                f"the SQL gives {column.name} as {schema[column.name].type}, "
                f"the contract says {column.type}: cast it"
            )
            problems.append(Problem(at("columns", column.name, "type"), message))
    if problems:
        raise ConfigurationError(problems)


def _nearly(name: str, names: Sequence[str]) -> str:
    """What may be meant by a name, or what there is."""
    by_lower = {each.lower(): each for each in names}
    near = difflib.get_close_matches(name.lower(), by_lower, 1)
    return f"did you mean {by_lower[near[0]]!r}?" if near else f"it gives {', '.join(names)}"


def described_by(contract: Schema | None, schema: Schema) -> Schema:
    """The schema with the descriptions and promises of a contract."""
    if contract is None:
        return schema
    columns = [
        replace(contract[c.name], name=c.name, type=c.type) if c.name in contract else c
        for c in schema.columns
    ]
    return Schema(tuple(columns) or contract.columns, schema.closed)


def start_of_block(key: Location) -> Location:
    """Where the text after a key begins: behind it, or below it where it is a block."""
    line = key.file.read_text(encoding="utf-8").splitlines()[key.line - 1]
    before, _, value = line[key.column - 1 :].partition(":")
    if value.strip()[:1] in {"|", ">", ""}:
        return Location(key.file, key.line + 1, 1)
    blank = len(value) - len(value.lstrip())
    return Location(key.file, key.line, key.column + len(before) + 1 + blank)


def _problem(location: Location, message: str) -> ConfigurationError:
    return ConfigurationError([Problem(location, message)])
