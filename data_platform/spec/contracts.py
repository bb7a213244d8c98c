"""The contracts of a pipeline.yaml and of the assets.py beside it, whatever else is wrong there.

Called by `contract_diff`, which compares two revisions: an old one may use words that the language
doesn't have any more, and somebody else's mistake must not hide a change. Must not resolve anything
but what a contract says.
"""

import functools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar, cast

from pydantic import TypeAdapter, ValidationError

from data_platform.errors import Location, Problem
from data_platform.spec.asset import ColumnContract, Partitions
from data_platform.spec.document import Document
from data_platform.spec.guessing import AssetName
from data_platform.spec.handwritten_contracts import literal_contracts
from data_platform.spec.messages import problems_of
from data_platform.spec.variables import expand_document
from data_platform.spec.versions import ContractVersion

SECTIONS = {"raw": "sources", "staging": "staging", "analytics": "analytics"}
ExtraColumns = Literal["keep", "drop", "fail"]
DEFAULT_EXTRA_COLUMNS: ExtraColumns = "fail"

_COLUMNS: TypeAdapter[dict[str, ColumnContract]] = TypeAdapter(dict[str, ColumnContract])
_COLUMN: TypeAdapter[ColumnContract] = TypeAdapter(ColumnContract)
_VERSION: TypeAdapter[str | None] = TypeAdapter(ContractVersion | None)
_EXTRA: TypeAdapter[ExtraColumns] = TypeAdapter(ExtraColumns)
_PARTITIONS: TypeAdapter[Any] = TypeAdapter(Partitions)
_FURTHEST = 50
"""Assets on the way to the one whose partitions a staging asset has."""

Read = TypeVar("Read")


@dataclass(frozen=True)
class WrittenContract:
    """What one asset promises.

    Attributes:
        asset: layer, pipeline, name.
        columns: by name, in order.
        version: of the contract.
        extra_columns: of a staging asset; None elsewhere, where there is no such word.
        partitions: as far as this file tells; None where another one decides.
        location: of the asset.
    """

    asset: AssetName
    columns: Mapping[str, ColumnContract]
    version: str | None
    extra_columns: ExtraColumns | None
    partitions: Any
    location: Location
    at: Callable[..., Location] = field(repr=False, compare=False)
    """Where a key of the asset stands."""


@dataclass(frozen=True)
class WrittenContracts:
    """What the assets of a file promise.

    Attributes:
        contracts: of those that have one.
        assets: all that there are, with or without one, and where they stand.
        unread: those whose contract can't be read, and so isn't among `contracts`.
        problems: why.
        computed: of an `assets.py`, what only running it would tell.
    """

    contracts: Mapping[AssetName, WrittenContract]
    assets: Mapping[AssetName, Location]
    unread: frozenset[AssetName] = frozenset()
    problems: tuple[Problem, ...] = ()
    computed: tuple[Problem, ...] = ()


def written_contracts(
    document: Document, environ: Mapping[str, str], pipeline: str
) -> WrittenContracts:
    """The contracts of a file.

    Args:
        document: the file as written.
        environ: what `${VAR}` refers to; one that isn't set stays as it is written.
        pipeline: the name of its folder, for a file that doesn't say its pipeline's name.
    """
    data, _ = expand_document(document, environ)
    named = data.get("pipeline")
    reader = _Reader(document, data, named if isinstance(named, str) else pipeline)
    contracts = {contract.asset: contract for contract in reader.contracts()}
    unread = frozenset(reader.unread)
    return WrittenContracts(contracts, reader.assets, unread, tuple(reader.problems))


def handwritten_contracts(file: Path, text: str, pipeline: str) -> WrittenContracts:
    """The contracts of an `assets.py`, as far as they stand there as literals.

    Args:
        file: for places.
        text: of the file.
        pipeline: whose file it is.
    """
    literals, computed = literal_contracts(file, text, pipeline)
    contracts: dict[AssetName, WrittenContract] = {}
    problems: list[Problem] = []
    for one in literals:
        try:
            columns = _COLUMNS.validate_python(one.columns)
            version = _VERSION.validate_python(one.version)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            way = ".".join(map(str, first["loc"]))
            message = f"{way}: {first['msg']}" if way else first["msg"]
            problems.append(Problem(one.location, message))
            continue
        contracts[one.asset] = WrittenContract(
            one.asset, columns, version, None, None, one.location, one.at
        )
    found = {one.asset: one.location for one in literals}
    unread = frozenset(found.keys() - contracts.keys())
    return WrittenContracts(contracts, found, unread, tuple(problems), tuple(computed))


class _Reader:
    def __init__(self, document: Document, data: dict[str, Any], pipeline: str) -> None:
        self.problems: list[Problem] = []
        self.assets: dict[AssetName, Location] = {}
        self.unread: set[AssetName] = set()
        self._document = document
        self._data = data
        self._pipeline = pipeline

    def contracts(self) -> Iterator[WrittenContract]:
        for layer, section in SECTIONS.items():
            for name, written in _mapping(self._data.get(section)).items():
                asset = (layer, self._pipeline, name)
                self.assets[asset] = self._document.locate(section, name)
                body = _mapping(written)
                if not body.get("columns"):
                    continue
                before = len(self.problems)
                contract = self._contract(asset, section, body)
                if len(self.problems) == before:
                    yield contract
                else:
                    self.unread.add(asset)

    def _contract(self, asset: AssetName, section: str, body: dict[str, Any]) -> WrittenContract:
        layer, _, name = asset
        columns: dict[str, ColumnContract] = {}
        for column, promise in self._columns(asset, section, body["columns"]).items():
            found = self._read(_COLUMN, promise, (section, name, "columns", column))
            if found is not None:
                columns[column] = found
        return WrittenContract(
            asset,
            columns,
            self._read(_VERSION, body.get("contract_version"), (section, name, "contract_version")),
            self._extra_columns(layer, name, body.get("extra_columns")),
            self._partitions(layer, name),
            self._document.locate(section, name),
            functools.partial(self._document.locate, section, name),
        )

    def _columns(self, asset: AssetName, section: str, written: object) -> dict[str, Any]:
        columns = _mapping(written)
        if not columns:
            place = self._document.locate(section, asset[2], "columns")
            self.problems.append(Problem(place, "expected a mapping of columns to promises"))
        return columns

    def _extra_columns(self, layer: str, name: str, written: object) -> ExtraColumns | None:
        if layer != "staging":
            return None
        keys = (SECTIONS[layer], name, "extra_columns")
        return self._read(_EXTRA, DEFAULT_EXTRA_COLUMNS if written is None else written, keys)

    def _partitions(self, layer: str, name: str) -> Any:
        """Those of an asset, of what it is made from, or of the pipeline."""
        for _ in range(_FURTHEST):
            body = _mapping(_mapping(self._data.get(SECTIONS[layer])).get(name))
            written = body.get("partitions")
            if written is not None:
                return _valid(_PARTITIONS, written)
            if layer != "staging":
                return _valid(_PARTITIONS, self._data.get("partitions", "none"))
            upstream = str(body.get("from")).split(".")
            if len(upstream) > 2 and upstream[0] == self._pipeline:  # noqa: PLR2004
                upstream = upstream[1:]
            if len(upstream) != 2 or upstream[0] not in SECTIONS:  # noqa: PLR2004
                return None
            layer, name = upstream
        return None

    def _read(self, model: TypeAdapter[Read], value: object, keys: tuple[str, ...]) -> Read | None:
        try:
            return model.validate_python(value)
        except ValidationError as error:
            self.problems += problems_of(error, self._document, keys)
            return None


def _mapping(value: object) -> dict[str, Any]:
    """A mapping whose keys are names; empty where it is anything else."""
    found = cast("dict[object, Any]", value) if isinstance(value, dict) else {}
    return {name: entry for name, entry in found.items() if isinstance(name, str)}


def _valid(model: TypeAdapter[Any], value: object) -> Any:
    try:
        return model.validate_python(value)
    except ValidationError:
        return None
