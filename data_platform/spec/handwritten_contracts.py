"""The contracts of an `assets.py`, read off its text: nothing of it is run.

Called by `spec.contracts`. What stands there as literals can be compared, in a decorator `asset` or
in an `AssetSpec`; what is computed can't, and is told.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from data_platform.errors import Location, Problem
from data_platform.spec.guessing import AssetName

LAYERS = ("raw", "staging", "analytics")
_MAKERS = frozenset({"asset", "AssetSpec", "AssetOut"})


@dataclass(frozen=True)
class LiteralContract:
    """What the metadata of an asset says, as it stands there.

    Attributes:
        asset: layer, pipeline, name.
        columns: the literal behind `columns`.
        version: the literal behind `contract_version`.
        location: of what makes the asset.
        places: of the columns.
    """

    asset: AssetName
    columns: object
    version: object
    location: Location
    places: dict[str, Location]

    def at(self, *keys: str) -> Location:
        """Where a column stands; everything else is told at what makes the asset."""
        named = keys[1] if keys[:1] == ("columns",) and len(keys) > 1 else ""
        return self.places.get(named, self.location)


def literal_contracts(
    file: Path, text: str, pipeline: str
) -> tuple[list[LiteralContract], list[Problem]]:
    """The contracts of a file, and what of them can't be read off.

    Args:
        file: for places.
        text: of the file.
        pipeline: whose file it is.
    """
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError) as error:
        line = getattr(error, "lineno", None) or 1
        return [], [Problem(Location(file, line), "no valid Python: contracts can't be read off")]
    found: list[LiteralContract] = []
    problems: list[Problem] = []
    for call, called in _makers(tree):
        place = Location(file, call.lineno, call.col_offset + 1)
        try:
            contract = _contract(call, called, pipeline, place, tree)
        except (ValueError, TypeError):
            message = "what this asset promises is computed: it can't be compared without a run"
            problems.append(Problem(place, message))
            continue
        if contract is not None:
            found.append(contract)
    return found, problems


def _makers(tree: ast.Module) -> Iterator[tuple[ast.Call, str | None]]:
    """Calls that make an asset, with the name that it has where they don't say one."""
    decorators: set[ast.AST] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            for each in node.decorator_list:
                if isinstance(each, ast.Call) and _named(each) == "asset":
                    decorators.add(each)
                    yield each, node.name
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and node not in decorators and _named(node) in _MAKERS:
            yield node, None


def _named(call: ast.Call) -> str:
    function = call.func
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def _contract(
    call: ast.Call, called: str | None, pipeline: str, place: Location, tree: ast.Module
) -> LiteralContract | None:
    said = {each.arg: each.value for each in call.keywords if each.arg}
    metadata = _resolved(said.get("metadata"), tree)
    if not isinstance(metadata, ast.Dict):
        return None
    entries = {
        key.value: value
        for key, value in zip(metadata.keys, metadata.values, strict=True)
        if isinstance(key, ast.Constant)
    }
    columns = _resolved(entries.get("columns"), tree)
    if columns is None:
        return None
    version = _resolved(entries.get("contract_version"), tree)
    asset = _asset(call, said, called, pipeline)
    return LiteralContract(
        asset,
        ast.literal_eval(columns),
        None if version is None else ast.literal_eval(version),
        place,
        _places(columns, place.file),
    )


class _Names(ast.NodeTransformer):
    """Puts what names at the top of a file stand for in their place, as far as it is a literal."""

    def __init__(self, tree: ast.Module) -> None:
        self._known = {
            target.id: statement.value
            for statement in tree.body
            if isinstance(statement, ast.Assign)
            for target in statement.targets
            if isinstance(target, ast.Name)
        }

    def visit_Name(self, node: ast.Name) -> ast.expr:
        """A name that stands for itself would be looked up for ever: one step is made."""
        return self._known.get(node.id, node)


def _resolved(node: ast.expr | None, tree: ast.Module) -> ast.expr | None:
    return None if node is None else cast("ast.expr", _Names(tree).visit(node))


def _asset(
    call: ast.Call, said: dict[str, ast.expr], called: str | None, pipeline: str
) -> AssetName:
    """The key that a short one means: a name alone is an asset of analytics.

    Raises:
        ValueError: it is computed, or none of the platform's.
    """
    key = said.get("key") or (call.args[0] if called is None and call.args else None)
    if isinstance(key, ast.Call) and key.args:
        key = key.args[0]  # AssetKey([...])
    path = _words(key) if key else [*_words(said.get("key_prefix")), *_words(said.get("name"))]
    if key is None and "name" not in said and called is not None:
        path = [*path, called]
    match path:
        case [name]:
            return ("analytics", pipeline, name)
        case [layer, name] if layer in LAYERS:
            return (layer, pipeline, name)
        case [layer, own, name] if layer in LAYERS and own == pipeline:
            return (layer, pipeline, name)
        case _:
            raise ValueError(path)


def _words(node: ast.expr | None) -> list[str]:
    if node is None:
        return []
    value = ast.literal_eval(node)
    return value.split("/") if isinstance(value, str) else [str(part) for part in value]


def _places(columns: ast.expr, file: Path) -> dict[str, Location]:
    keys = columns.keys if isinstance(columns, ast.Dict) else []
    return {
        str(key.value): Location(file, key.lineno, key.col_offset + 1)
        for key in keys
        if isinstance(key, ast.Constant)
    }
