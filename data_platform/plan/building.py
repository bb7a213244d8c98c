"""From what people wrote to what will exist: every reference, partition and column resolved.

Called by `definitions` and the command. Finds all mistakes of all pipelines and builds what is
sound; a pipeline with a mistake is left out whole and never hides another.
"""

import difflib
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from data_platform.errors import ConfigurationError, Location, Problem
from data_platform.plan.analytics import (
    described_by,
    hold_to_contract,
    indented,
    query_schema,
    sql_text,
)
from data_platform.plan.checks import (
    compile_contract,
    compile_rules,
    named_apart,
    relation_of,
    unbound,
)
from data_platform.plan.conversions import named_type
from data_platform.plan.naming import HIDDEN_TYPES
from data_platform.plan.nodes import (
    UNKNOWN_SCHEMA,
    AnalyticsNode,
    AnyNode,
    Check,
    Column,
    DatabaseTable,
    DestinationNode,
    Files,
    Input,
    Key,
    LakeNode,
    Node,
    PipelinePlan,
    Plan,
    RawNode,
    Schema,
    StagingNode,
    UniqueCheck,
)
from data_platform.plan.partitions import DailyPartitions
from data_platform.plan.queries import compile_query
from data_platform.plan.staging import StagingCompiler
from data_platform.plan.steps import OtherSide
from data_platform.spec.pipeline import (
    AnalyticsAsset,
    Asset,
    Daily,
    DatabaseDestination,
    DatabaseSource,
    FileSource,
    LakeAsset,
    Partitions,
    Retries,
    Schedule,
    StagingAsset,
)
from data_platform.spec.reading import PipelineFile, Workspace

SECTIONS = {
    "raw": "sources",
    "staging": "staging",
    "analytics": "analytics",
    "destinations": "destinations",
}
SourceColumns = Callable[[RawNode], Schema | None]


@dataclass(frozen=True)
class BuiltPlan:
    """The plan of the sound pipelines, and what is wrong with the others.

    Attributes:
        plan: what will exist.
        problems: of the plan itself, those of reading not included.
        broken: keys that are not in the plan, by pipeline: all that a pipeline with a problem
            declares, and of others those that can't be built without what has one.
    """

    plan: Plan
    problems: tuple[Problem, ...]
    broken: Mapping[str, tuple[Key, ...]]


def build_plan(workspace: Workspace, source_columns: SourceColumns | None = None) -> BuiltPlan:
    """Resolve all pipelines of a workspace.

    Args:
        workspace: what was read.
        source_columns: tells the columns of a source where they can be known before a run.
    """
    builder = _Builder(workspace, source_columns or (lambda _: None))
    return builder.build()


class _Unbuildable(Exception):
    """An upstream has problems of its own, which are reported there."""


class _Builder:
    def __init__(self, workspace: Workspace, source_columns: SourceColumns) -> None:
        self._workspace = workspace
        self._source_columns = source_columns
        self._declared: dict[Key, tuple[PipelineFile, Any]] = {
            Key(layer, file.spec.pipeline, name): (file, spec)
            for file in workspace.pipelines
            for layer, section in SECTIONS.items()
            for name, spec in getattr(file.spec, section).items()
        }
        self._built: dict[Key, AnyNode | None] = {}
        self._stack: list[Key] = []
        self._left_out: dict[Key, Problem | None] = {}
        """Assets without a mistake of their own, below one of another pipeline that has some."""
        self._problems: dict[str, list[Problem]] = {
            file.spec.pipeline: [] for file in workspace.pipelines
        }

    def build(self) -> BuiltPlan:
        for key in self._declared:
            with suppress(_Unbuildable):  # its own problems are kept
                self._node(key)
        sound = [
            file for file in self._workspace.pipelines if not self._problems[file.spec.pipeline]
        ]
        plan = Plan(tuple(self._pipeline_plan(file) for file in sound))
        broken = {
            name: tuple(key for key in self._declared if key.pipeline == name)
            for name, problems in self._problems.items()
            if problems
        }
        for key, problem in self._left_out.items():
            if key.pipeline not in broken or key not in broken[key.pipeline]:
                broken[key.pipeline] = (*broken.get(key.pipeline, ()), key)
            if problem is not None:
                self._problems[key.pipeline].append(problem)
        problems = sorted({problem for found in self._problems.values() for problem in found})
        return BuiltPlan(plan, tuple(problems), broken)

    def _pipeline_plan(self, file: PipelineFile) -> PipelinePlan:
        spec = file.spec
        schedule = Schedule(cron=spec.schedule) if isinstance(spec.schedule, str) else spec.schedule
        # `_built` is filled upstreams first, so its order is an order in which assets can run.
        nodes = tuple(
            node for node in self._built.values() if node and node.key.pipeline == spec.pipeline
        )
        return PipelinePlan(
            spec.pipeline, spec.description, spec.owner, file.locate("pipeline"), schedule, nodes
        )

    def _node(self, key: Key) -> AnyNode:
        if key in self._built:
            node = self._built[key]
            if node is None:
                raise _Unbuildable(str(key))
            return node
        file, spec = self._declared[key]
        self._stack.append(key)
        self._built[key] = None
        try:
            node = self._resolve(key, file, spec)
        except ConfigurationError as error:
            self._problems[key.pipeline] += error.problems
            raise _Unbuildable(str(key)) from None
        except _Unbuildable as error:
            upstream = Key.parse(str(error))
            if upstream.pipeline != key.pipeline:
                message = (
                    f"{upstream}, which it reads, has errors: it is left out until they are mended"
                )
                self._left_out[key] = Problem(self._at(key)(), message)
            elif upstream in self._left_out:
                self._left_out[key] = None
            raise _Unbuildable(str(key)) from None
        finally:
            self._stack.pop()
        del self._built[key]
        self._built[key] = node
        return node

    def _resolve(self, key: Key, file: PipelineFile, spec: Asset) -> AnyNode:
        match spec:
            case DatabaseSource() | FileSource():
                return self._raw(key, file, spec)
            case StagingAsset():
                return self._staging(key, file, spec)
            case AnalyticsAsset():
                with indented(spec, self._at(key)("query")):
                    return self._analytics(key, file, spec)
            case DatabaseDestination():
                return self._destination(key, file, spec)
            case _:
                raise AssertionError(spec)

    # Layers -----------------------------------------------------------------------------------

    def _raw(self, key: Key, file: PipelineFile, spec: DatabaseSource | FileSource) -> RawNode:
        at = self._at(key)
        partitions = self._partitions(
            file.spec.partitions if spec.partitions is None else spec.partitions
        )
        if isinstance(spec, DatabaseSource):
            self._require_connection(spec.connection, at("connection"))
            if partitions and not spec.cursor:
                message = (
                    "a partitioned table needs a cursor: "
                    "the column that says to which partition a row belongs"
                )
                raise _problem(at("table"), message)
            source = DatabaseTable(spec.connection, spec.table, spec.cursor, spec.fetch_size)
        else:
            source = self._files(file, spec, at, partitioned=partitions is not None)
        declared = self._declared_columns(spec, at)
        node = RawNode(
            key=key, source=source, partitions=partitions, schema=declared or UNKNOWN_SCHEMA,
            **self._common(key, file, spec, Retries()),
        )  # fmt: skip
        schema = self._source_columns(node) or node.schema
        inputs: dict[str, Input] = {}
        checks = self._checks(key, spec, schema, inputs, partitions)
        return replace(
            node, schema=schema, checks=checks, contract=declared, inputs=tuple(inputs.values())
        )

    def _staging(self, key: Key, file: PipelineFile, spec: StagingAsset) -> StagingNode:
        at = self._at(key)
        source = self._upstream(key, spec.from_, at("from"), {"raw", "staging"})
        partitions = self._own_partitions(spec, source.partitions, at)
        inputs = {source.key.relation: self._same(source, partitions)}
        others: dict[str, Schema] = {}

        def other_side(reference: str, location: Location) -> OtherSide:
            other = self._upstream(key, reference, location)
            given = self._same(other, partitions)
            inputs[relation_of(given)] = given
            others[relation_of(given)] = other.schema
            keys = tuple(
                frozenset(check.columns)
                for check in other.checks
                if isinstance(check, UniqueCheck)
                and check.effect == "fail"
                and not check.max_duplicates
                and (check.whole_asset or given.reads != "all")
            )
            return OtherSide(
                relation_of(given), other.schema.names, given.reads, partitions is not None, keys
            )

        def reads(reference: str, location: Location, *, whole: bool) -> Input:
            other = self._upstream(key, reference, location)
            given = self._read_by_rule(other, partitions, location, whole=whole)
            inputs.setdefault(relation_of(given), given)
            others.setdefault(relation_of(given), other.schema)
            return given

        compiler = StagingCompiler(
            spec, (source.key, source.schema), at, other_side, reads, lambda: others
        )
        steps, schema, contract, checks = compiler.compile()
        return StagingNode(
            key=key, source=source.key, partitions=partitions, inputs=tuple(inputs.values()),
            schema=schema, steps=steps, contract=contract, checks=checks,
            extra_columns=spec.extra_columns,
            max_quarantine_percentage=spec.max_quarantine_percentage,
            unversioned=compiler.momentary, **self._common(key, file, spec, None),
        )  # fmt: skip

    def _analytics(self, key: Key, file: PipelineFile, spec: AnalyticsAsset) -> AnalyticsNode:
        at = self._at(key)
        text, location = sql_text(file, spec, at)
        windows = dict(spec.inputs)
        upstreams: dict[str, LakeNode] = {}
        first = compile_query(
            text, location, lambda reference, place: self._probe(key, reference, place, upstreams)
        )
        by_key = {
            self._target(key, name, at("inputs", name)): window for name, window in windows.items()
        }
        read = {upstream.key for upstream in upstreams.values()}
        unused = [
            name for name in windows if self._target(key, name, at("inputs", name)) not in read
        ]
        if unused:
            message = (
                f"the SQL doesn't read {unused[0]}; it reads {', '.join(upstreams) or 'nothing'}"
            )
            raise _problem(at("inputs", unused[0]), message)
        partitioned = next(
            (node.partitions for node in upstreams.values() if node.partitions), None
        )
        written = (
            spec.partitions
            if spec.partitions is not None
            else (file.spec.partitions if partitioned else "none")
        )
        partitions = self._partitions(written)

        def reads(reference: str, _place: Location) -> Input:
            upstream = upstreams[reference]
            window = by_key.get(upstream.key)
            if window is None or upstream.partitions is None:
                return self._same(upstream, partitions)
            if window.all or partitions is None:
                return Input(upstream.key, "all")
            return Input(upstream.key, "last", window.last or 1, upstream.partitions)

        query = compile_query(text, location, reads)
        if partitions is None and first.parameters:
            raise _problem(
                location, f":{first.parameters[0]} has no value: the asset has no partitions"
            )
        schemas = {
            relation_of(given): upstreams_by_key(upstreams)[given.key].schema
            for given in query.inputs
        }
        schema = query_schema(query.sql, schemas, text, location)
        contract = self._declared_columns(spec, at)
        hold_to_contract(contract, schema, at)
        inputs = {relation_of(given): given for given in query.inputs}
        checks = self._checks(key, spec, schema, inputs, partitions)
        return AnalyticsNode(
            key=key, sql=query.sql, parameters=query.parameters, range_sql=query.range_sql,
            partitions=partitions, inputs=tuple(inputs.values()),
            schema=described_by(contract, schema), contract=contract, checks=checks,
            unversioned=query.momentary, **self._common(key, file, spec, None),
        )  # fmt: skip

    def _destination(
        self, key: Key, file: PipelineFile, spec: DatabaseDestination
    ) -> DestinationNode:
        at = self._at(key)
        source = self._upstream(key, spec.from_, at("from"))
        self._require_connection(spec.connection, at("connection"))
        partitions = self._own_partitions(spec, source.partitions, at)
        write = spec.write or ("replace_partition" if partitions else "replace")
        if write == "replace_partition" and partitions is None:
            raise _problem(
                at("write"), f"{spec.from_} has no partitions to replace: write is `replace`"
            )
        if write == "replace" and source.partitions is not None:
            raise _problem(
                at("write"),
                f"`replace` would leave one partition of {spec.from_}: use replace_partition",
            )
        return DestinationNode(
            key=key, source=source.key, connection=spec.connection, table=spec.table, write=write,
            partition_column=spec.partition_column, partitions=partitions,
            inputs=(self._same(source, partitions),), schema=source.schema,
            contract=source.contract, **self._common(key, file, spec, Retries()),
        )  # fmt: skip

    # References -------------------------------------------------------------------------------

    def _upstream(
        self, key: Key, reference: str, location: Location, layers: set[str] | None = None
    ) -> LakeNode:
        target = self._target(key, reference, location)
        if layers and target.layer not in layers:
            raise _problem(location, f"{reference} is no {' or '.join(sorted(layers))} asset")
        if target in self._stack:
            cycle = [*self._stack[self._stack.index(target) :], target]
            raise _problem(location, f"a cycle: {' <- '.join(str(step) for step in cycle)}")
        node = self._node(target)
        if not isinstance(node, LakeNode):
            raise _problem(location, f"{reference} is a destination; name the asset that it loads")
        return node

    def _target(self, key: Key, reference: str, location: Location) -> Key:
        parts = reference.split(".")
        target = Key(parts[0], key.pipeline, parts[1]) if len(parts) == 2 else None  # noqa: PLR2004  layer.name
        target = Key(parts[1], parts[0], parts[2]) if len(parts) == 3 else target  # noqa: PLR2004  pipeline.layer.name
        if target is None or target.layer not in {"raw", "staging", "analytics"}:
            raise _problem(
                location, f"{reference!r} is no reference: layer.name, or pipeline.layer.name"
            )
        if target not in self._declared:
            if target.pipeline in {broken.name for broken in self._workspace.broken}:
                raise _Unbuildable(str(target))
            known = [
                f"{known.layer}.{known.name}"
                for known in self._declared
                if known.pipeline == target.pipeline
            ]
            near = difflib.get_close_matches(f"{target.layer}.{target.name}", known, 1, 0.5)
            hint = (
                f"; did you mean {near[0]}?"
                if near
                else f"; pipeline {target.pipeline} has {', '.join(known) or 'none'}"
            )
            raise _problem(location, f"there is no asset {reference}{hint}")
        return target

    def _probe(
        self, key: Key, reference: str, place: Location, upstreams: dict[str, LakeNode]
    ) -> Input:
        upstreams[reference] = self._upstream(key, reference, place)
        return Input(upstreams[reference].key, "whole")

    def _same(self, upstream: Node, partitions: DailyPartitions | None) -> Input:
        if upstream.partitions is None:
            return Input(upstream.key, "whole")
        return Input(upstream.key, "all") if partitions is None else Input(upstream.key, "same")

    def _read_by_rule(
        self,
        upstream: Node,
        partitions: DailyPartitions | None,
        location: Location,
        *,
        whole: bool,
    ) -> Input:
        if whole:
            return self._whole(upstream)
        if partitions is not None and upstream.partitions is None:
            message = f"{upstream.key} has no partitions that this asset's could be compared with"
            raise _problem(location, message)
        return self._same(upstream, partitions)

    def _whole(self, upstream: Node) -> Input:
        return Input(upstream.key, "whole" if upstream.partitions is None else "all")

    # Columns and checks -----------------------------------------------------------------------

    def _checks(
        self,
        key: Key,
        spec: LakeAsset,
        schema: Schema,
        inputs: dict[str, Input],
        partitions: DailyPartitions | None = None,
    ) -> tuple[Check, ...]:
        at = self._at(key)
        if spec.on_violation == "quarantine":
            raise _problem(
                at("on_violation"),
                "quarantine belongs to staging assets: here a rule fails or warns",
            )

        def reads(reference: str, location: Location, *, whole: bool) -> Input:
            other = self._upstream(key, reference, location)
            given = self._read_by_rule(other, partitions, location, whole=whole)
            inputs.setdefault(relation_of(given), given)
            others[relation_of(given)] = other.schema
            return given

        others: dict[str, Schema] = {}
        checks = compile_contract(
            spec.columns, spec.on_violation, schema, lambda name: at("columns", name)
        )
        checks += compile_rules(
            spec.quality, spec.on_violation, schema, lambda *keys: at("quality", *keys), reads
        )
        for check in checks:
            if check.effect == "quarantine":
                raise _problem(
                    check.location,
                    "quarantine belongs to staging assets: here a rule fails or warns",
                )
        wrong = unbound(checks, schema, others, HIDDEN_TYPES)
        if wrong:
            raise ConfigurationError(wrong)
        return named_apart(checks)

    def _declared_columns(self, spec: LakeAsset, at: Callable[..., Location]) -> Schema | None:
        if not spec.columns:
            return None
        columns = [
            Column(
                name,
                named_type(promise.type, at("columns", name, "type")) if promise.type else None,
                promise.description,
                promise.nullable,
                promise.unique,
            )
            for name, promise in spec.columns.items()
        ]
        return Schema(tuple(columns), closed=False)

    # Small parts ------------------------------------------------------------------------------

    def _at(self, key: Key) -> Callable[..., Location]:
        file, _ = self._declared[key]
        return lambda *keys: file.locate(SECTIONS[key.layer], key.name, *keys)

    def _common(
        self, key: Key, file: PipelineFile, spec: Asset, retries: Retries | None
    ) -> dict[str, Any]:
        pool = spec.pool
        if pool is not None and self._is_unknown(pool, self._workspace.platform.pools):
            known = ", ".join(self._workspace.platform.pools) or "none"
            raise _problem(
                self._at(key)("pool"),
                f"there is no pool {pool!r} in platform.yaml; there are {known}",
            )
        return {
            "location": self._at(key)(),
            "description": spec.description,
            "owner": spec.owner or file.spec.owner,
            "criticality": file.spec.criticality,
            "tags": {**file.spec.tags, **spec.tags},
            "runbook": spec.runbook or file.spec.runbook,
            "retries": spec.retries or retries,
            "pool": pool,
            "automation": spec.automation,
            "freshness": spec.freshness,
        }

    def _require_connection(self, name: str, location: Location) -> None:
        known = self._workspace.platform.connections
        if self._is_unknown(name, known):
            near = difflib.get_close_matches(name, known, 1)
            hint = (
                f"did you mean {near[0]!r}?" if near else f"there are {', '.join(known) or 'none'}"
            )
            raise _problem(location, f"there is no connection {name!r} in platform.yaml; {hint}")

    def _is_unknown(self, name: str, known: Mapping[str, object]) -> bool:
        """A broken platform.yaml has problems of its own, and names nothing."""
        return name not in known and not self._workspace.platform_problems

    def _own_partitions(
        self, spec: Asset, inherited: DailyPartitions | None, at: Callable[..., Location]
    ) -> DailyPartitions | None:
        if spec.partitions is not None and self._partitions(spec.partitions) != inherited:
            raise _problem(
                at("partitions"),
                "this asset has the partitions of what it is made from; leave the key out",
            )
        return inherited

    @staticmethod
    def _partitions(spec: Partitions) -> DailyPartitions | None:
        return (
            DailyPartitions(spec.start, spec.end, spec.timezone)
            if isinstance(spec, Daily)
            else None
        )

    def _files(
        self,
        file: PipelineFile,
        spec: FileSource,
        at: Callable[..., Location],
        *,
        partitioned: bool,
    ) -> Files:
        by_partition = "{partition_key}" in spec.path
        if partitioned != by_partition:
            message = "the path needs {partition_key}, or the source `partitions: none`"
            raise _problem(
                at("path"),
                message
                if partitioned
                else "{partition_key} has no value: the source has no partitions",
            )
        suffix = Path(spec.path).suffix.lower().lstrip(".")
        kind = spec.format or {"csv": "csv", "parquet": "parquet"}.get(suffix)
        if kind is None:
            raise _problem(
                at("path"),
                f"the ending of {spec.path!r} doesn't tell the format: "
                "set format to csv or parquet",
            )
        return Files(str(file.base_dir / spec.path), kind, spec.csv)  # pyright: ignore[reportArgumentType]


def upstreams_by_key(upstreams: Mapping[str, LakeNode]) -> dict[Key, LakeNode]:
    """The nodes by their keys: two references may name one asset."""
    return {node.key: node for node in upstreams.values()}


def _problem(location: Location, message: str) -> ConfigurationError:
    return ConfigurationError([Problem(location, message)])
