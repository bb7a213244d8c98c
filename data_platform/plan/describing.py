"""Assets of a plan as plain values, ready for JSON: keys, inputs, columns, SQL, checks.

Called by `plan.explaining`, whose text is made of the same values. Keys of a description are an
interface: one may be added, but none changes its meaning or goes.
"""

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, assert_never

from data_platform.errors import Location
from data_platform.plan.checks.kinds import Check
from data_platform.plan.checks.words import condition_words, tuned_words
from data_platform.plan.destinations.kinds import (
    FileTarget,
    RedshiftTarget,
    TableTarget,
)
from data_platform.plan.destinations.statements import known_statements
from data_platform.plan.nodes import (
    AnalyticsNode,
    AnyNode,
    DestinationNode,
    Input,
    LakeNode,
    Node,
    PythonNode,
    RawNode,
    StagingNode,
    Step,
)
from data_platform.plan.partitions import Partitions
from data_platform.plan.pipelines import PipelinePlan
from data_platform.plan.relations import relation_of
from data_platform.plan.schemas import Column
from data_platform.plan.sources.kinds import (
    AnySource,
    Api,
    DatabaseQuery,
    DatabaseTable,
    Files,
    PythonSource,
    Topic,
)
from data_platform.spec.limits import Resources
from data_platform.spec.model import Model
from data_platform.spec.times import duration_words

Description = dict[str, Any]
_EVERY = {"hour": "hourly", "day": "daily", "week": "weekly", "month": "monthly"}


def describe_pipeline(
    pipeline: PipelinePlan, nodes: Sequence[AnyNode] | None = None, home: Path | None = None
) -> Description:
    """A pipeline as JSON has it.

    Args:
        pipeline: of the plan.
        nodes: which of its assets are told; None means all.
        home: the folder from which paths of files start; None leaves them absolute.
    """
    schedule = pipeline.schedule
    return {
        "pipeline": pipeline.name,
        "description": pipeline.description,
        "owner": pipeline.owner,
        "declared": _place(pipeline.location, home),
        "schedule": {"cron": schedule.cron, "timezone": schedule.timezone} if schedule else None,
        "max_active_runs": pipeline.max_active_runs,
        "budget": _written(pipeline.run_budget) if pipeline.run_budget else None,
        "assets": [
            describe_asset(node, home) for node in (pipeline.nodes if nodes is None else nodes)
        ],
    }


def describe_asset(node: AnyNode, home: Path | None = None) -> Description:
    """An asset as JSON has it."""
    lake = node if isinstance(node, LakeNode) else None
    return {
        "key": str(node.key),
        "description": node.description,
        "owner": node.owner,
        "criticality": node.criticality,
        "tags": dict(node.tags),
        "runbook": node.runbook,
        "declared": _place(node.location, home),
        "partitions": _partitions(node.partitions),
        "inputs": [_input(given) for given in node.inputs],
        "run_parameters": [
            {"name": name, **one.model_dump(include={"type", "default", "description"})}
            for name, one in node.run_parameters.items()
        ],
        **_layer(node),
        "columns": [_column(column) for column in node.schema.columns],
        "more_columns": not node.schema.closed,
        "contract_version": lake.contract_version if lake else None,
        "quarantine": str(lake.quarantine_key) if lake and lake.has_quarantine else None,
        "checks": [_check(check, home) for check in node.checks],
        **_when(node),
        "code_version": node.code_version,
    }


def partition_words(partitions: Partitions | None) -> str:
    """Which partitions there are, in words."""
    if partitions is None:
        return "none"
    if partitions.dynamic is not None:
        return f"as they are registered, by the name {partitions.dynamic}"
    parts = [f"{one.name} of {', '.join(one.values)}" for one in partitions.by]
    if partitions.time is not None:
        time = partitions.time
        end = f" to {time.end} (exclusive)" if time.end else ", without end"
        parts.insert(0, f"{_EVERY[time.every]} from {time.start}{end}, {time.timezone}")
    return "; by ".join(parts) if partitions.time else f"by {', and by '.join(parts)}"


def input_words(given: Input) -> str:
    """What is read of an upstream, in words."""
    match given.reads:
        case "same":
            return "the same partition"
        case "matching":
            return _matching_words(given)
        case "last":
            return f"the last {given.last} partitions, its own included"
        case "all":
            return "all published partitions"
        case "whole":
            return "whole"


def _matching_words(given: Input) -> str:
    """What belongs to a partition of a reader whose own are of another kind."""
    upstream = given.partitions
    what = f" ({partition_words(upstream)})" if upstream else ""
    return f"the partitions that belong to its own{what}"


def _layer(node: AnyNode) -> Description:
    """What only assets of its layer have; SQL is None where the platform asks a source itself."""
    match node:
        case RawNode():
            return {"source": _source(node.source), "sql": None, "steps": [], "parameters": []}
        case StagingNode():
            steps = [_step(step) for step in node.steps]
            return {"source": None, "sql": node.sql, "steps": steps, "parameters": []}
        case AnalyticsNode():
            parameters = list(node.parameters)
            return {"source": None, "sql": node.sql, "steps": [], "parameters": parameters}
        case PythonNode():
            function = {
                "function": node.function,
                "called": "once for a range" if node.by_range else "once for each partition",
            }
            return {"function": function, "sql": None, "steps": [], "parameters": []}
        case DestinationNode():
            return {"target": _target(node), "sql": None, "steps": [], "parameters": []}
        case _:
            assert_never(node)


def _step(step: Step) -> Description:
    told: Description = {"name": step.name, "effect": step.effect}
    if call := step.python:
        told |= {
            "function": call.function.written,
            "defined": call.function.place,
            "input": call.input,
            "chunk_size": call.chunk_size,
            "num_workers": call.num_workers,
        }
    return told


def _source(source: AnySource) -> Description:
    match source:
        case PythonSource():
            function = source.function
            return {"type": "python", "function": function.written, "defined": function.place}
        case DatabaseTable():
            return {
                "type": "database",
                "connection": source.connection,
                "table": source.table,
                "cursor": source.cursor,
            }
        case DatabaseQuery():
            return {
                "type": "database",
                "connection": source.connection,
                "query": source.query,
                "cursor": source.cursor,
            }
        case Api():
            return {
                "type": "api",
                "connection": source.connection,
                "url": source.url or source.path,
                "pagination": source.pagination.type,
            }
        case Files():
            return {"type": "file", "path": source.path, "format": source.format}
        case Topic():
            return {"type": "topic", "connection": source.connection, "topic": source.topic}
        case _:
            assert_never(source)


def _target(node: DestinationNode) -> Description:
    """Where rows go; the statements that make a table are None where columns aren't known."""
    target = node.target
    match target:
        case TableTarget():
            own = None if target.adds_partition_column else target.partition_column
            return {
                "type": "database",
                "connection": target.connection,
                "table": target.table,
                "write": target.write,
                "partition_column": own,
                "database": target.dialect,
                "keys": list(target.keys),
                "statements": known_statements(node),
            }
        case RedshiftTarget():
            own = None if target.adds_partition_column else target.partition_column
            return {
                "type": "redshift",
                "connection": target.connection,
                "table": f"{target.schema}.{target.table}",
                "write": target.write,
                "partition_column": own,
            }
        case FileTarget():
            return {
                "type": "file",
                "path": target.path,
                "format": target.format,
                "compression": target.compression,
            }
        case _:
            assert_never(target)


def _partitions(partitions: Partitions | None) -> Description | None:
    if partitions is None:
        return None
    time = partitions.time
    return {
        "every": time.every if time else None,
        "start": time.start.isoformat() if time else None,
        "end": time.end.isoformat() if time and time.end else None,
        "timezone": partitions.timezone,
        "by": {one.name: list(one.values) for one in partitions.by},
        "dynamic": partitions.dynamic,
        "words": partition_words(partitions),
    }


def _input(given: Input) -> Description:
    return {
        "key": str(given.key),
        "relation": relation_of(given),
        "reads": given.reads,
        "last": given.last if given.reads == "last" else None,
        "words": input_words(given),
    }


def _column(column: Column) -> Description:
    return {
        "name": column.name,
        "type": column.type,
        "nullable": column.nullable,
        "unique": column.unique,
        "pii": bool(column.pii),
        "description": column.description,
    }


def _check(check: Check, home: Path | None) -> Description:
    return {
        "name": check.name,
        "kind": check.kind,
        "on_violation": check.effect,
        "condition": condition_words(check) + tuned_words(check),
        "description": check.description,
        "declared": _place(check.location, home),
    }


def _when(node: Node) -> Description:
    automation = node.automation
    return {
        "enabled": node.enabled,
        "automation": _written(automation) if isinstance(automation, Model) else automation,
        "freshness": _written(node.freshness) if node.freshness else None,
        "retries": _written(node.retries) if node.retries else None,
        "pool": node.pool,
        "backfill": {"partitions_per_run": node.partitions_per_run}
        if node.partitions_per_run
        else None,
        "pool_slots": node.pool_slots,
        "priority": node.priority,
        "resources": _resources(node.resources) if node.resources else None,
        "budget": _written(node.budget) if node.budget else None,
    }


def _resources(resources: Resources) -> Description:
    """Requests and limits, as far as they are said, and whether steps have a pod each."""
    told = {"requests": _written(resources.requests), "limits": _written(resources.limits)}
    isolated = {"isolated": True} if resources.isolated else {}
    return {name: amounts for name, amounts in told.items() if amounts} | isolated


def _written(model: Model) -> Description:
    """A part of the language as a person writes it, what isn't set left out."""
    values = {name: getattr(model, name) for name in type(model).model_fields}
    return {
        name: duration_words(value) if isinstance(value, timedelta) else value
        for name, value in values.items()
        if value is not None
    }


def _place(location: Location, home: Path | None) -> str:
    file = location.file
    if home is not None and file.is_absolute() and file.is_relative_to(home):
        file = file.relative_to(home)
    return f"{file}:{location.line}"
