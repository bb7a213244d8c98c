"""What a plan says, for people and for programs: the very nodes that run.

Called by the command's `explain`. The text is made of the description that the JSON is, so neither
tells more than the other. Must not ask anybody: what it prints is known before a run.
"""

import json
import re
import textwrap
from collections.abc import Collection, Iterator
from pathlib import Path

from data_platform.plan.describing import Description, describe_pipeline
from data_platform.plan.keys import Key
from data_platform.plan.pipelines import Plan

FORMAT_VERSION = 1
"""Of the JSON as a whole."""

_WIDTH = 80
_WRITES = {
    "replace_partition": "the rows of a partition are deleted and copied in one transaction",
    "merge": "rows are added, or changed where their keys are there; none is deleted",
    "append": "each partition is added once, and refused where it changed",
    "replace": "all rows are deleted and copied in one transaction",
    "create": "the table is made, each partition added once, and refused where it changed",
}
"""What a load does to the rows that are there."""
_QUOTED = re.compile(r"""(?:'[^']*'|"[^"]*"|[^\s])+""")
_LABEL = 12


def explain_json(
    plan: Plan, keys: Collection[Key] | None = None, home: Path | None = None
) -> Description:
    """Assets as plain values, by pipeline.

    Args:
        plan: all that will exist.
        keys: of the assets that are told; None means all. A pipeline without any is left out.
        home: the folder from which paths of files start; None leaves them absolute.
    """
    pipelines: list[Description] = []
    for pipeline in plan.pipelines:
        nodes = [node for node in pipeline.nodes if keys is None or node.key in keys]
        if nodes or keys is None:
            pipelines.append(describe_pipeline(pipeline, nodes, home))
    return {"format": FORMAT_VERSION, "pipelines": pipelines}


def explain_text(
    plan: Plan, keys: Collection[Key] | None = None, home: Path | None = None, width: int = _WIDTH
) -> str:
    """Assets as text for a terminal.

    Args:
        plan: all that will exist.
        keys: of the assets that are told; None means all.
        home: the folder from which paths of files start.
        width: of a line, in characters; only a name or a literal that is longer goes beyond it.
    """
    told = explain_json(plan, keys, home)["pipelines"]
    lines = [line for pipeline in told for line in _pipeline(pipeline, width)]
    return "\n".join(lines)


def _pipeline(told: Description, width: int) -> Iterator[str]:
    count = len(told["assets"])
    yield f"pipeline {told['pipeline']} · {told['owner']} · {count} asset{'s'[: count != 1]}"
    if told["description"]:
        yield from textwrap.wrap(told["description"], width)
    schedule = told["schedule"]
    if schedule:
        yield f"sources run at {schedule['cron']} ({schedule['timezone']})"
    if told["max_active_runs"]:
        yield f"runs at a time: {told['max_active_runs']}"
    if told["budget"]:
        yield f"budget of a run: {_mapping_words(told['budget'])}"
    yield f"declared in {told['declared']}"
    for asset in told["assets"]:
        yield ""
        yield from _asset(asset, width)
    yield ""


def _asset(told: Description, width: int) -> Iterator[str]:
    yield told["key"]
    if told["description"]:
        yield from textwrap.wrap(
            told["description"], width, initial_indent="  ", subsequent_indent="  "
        )
    for label, text in _facts(told):
        yield from _labelled(label, text, width)
    yield from _columns(told, width)
    yield from _table(told, width)
    if told["sql"]:
        runs = "once for each partition" if told["parameters"] else ""
        yield f"  SQL{f', {runs}' if runs else ''}"
        yield from (line for text in told["sql"].splitlines() for line in _filled(text, 4, width))
    if told["checks"]:
        yield "  checks"
    for check in told["checks"]:
        about = f": {check['description']}" if check["description"] else ""
        yield from _hanging(f"{check['name']} ({check['on_violation']}s){about}", 4, width)
        yield from _filled(check["condition"], 8, width)


_MAPPINGS = {
    "runs": "automation",
    "freshness": "freshness",
    "retries": "retries",
    "backfill": "backfill",
    "budget": "budget",
}
"""Parts of the language that are told as they are written, by what they are called."""


def _facts(told: Description) -> Iterator[tuple[str, str]]:
    partitions = told["partitions"]
    yield "declared", told["declared"]
    yield "partitions", partitions["words"] if partitions else "none"
    for given in told["inputs"]:
        yield "reads", f"{given['key']}: {given['words']}"
    for one in told["run_parameters"]:
        yield "parameter", _parameter_words(one)
    if source := told.get("source"):
        yield "source", _source_words(source)
    yield from _calls(told)
    if target := told.get("target"):
        yield "writes", _target_words(target)
    if told["quarantine"]:
        yield "quarantine", told["quarantine"]
    if told["contract_version"]:
        yield "contract", f"version {told['contract_version']}"
    for label, key in _MAPPINGS.items():
        if told[key]:
            yield label, _mapping_words(told[key])
    yield from _limits(told)


def _limits(told: Description) -> Iterator[tuple[str, str]]:
    if told["pool"]:
        slots = told["pool_slots"]
        yield "pool", f"{told['pool']}, {slots} slots" if slots > 1 else told["pool"]
    if told["priority"] is not None:
        yield "priority", str(told["priority"])
    if told["resources"]:
        yield "resources", _resources_words(told["resources"])


def _parameter_words(one: Description) -> str:
    about = f": {one['description']}" if one["description"] else ""
    default = json.dumps(one["default"], ensure_ascii=False)
    return f"{one['name']} ({one['type']}, {default} where the run doesn't say){about}"


def _calls(told: Description) -> Iterator[tuple[str, str]]:
    """The functions of a person that make its rows."""
    for step in told["steps"]:
        if step["effect"] == "python":
            yield step["name"], _call_words(step)
    if function := told.get("function"):
        called = f", called {function['called']}" if told["partitions"] else ""
        yield "function", f"{function['function']}{called}"


def _call_words(step: Description) -> str:
    rows = f"{step['chunk_size']:,} rows" if step["chunk_size"] else "a partition"
    workers = step["num_workers"]
    by = f", in {workers} process{'es'[: 2 * (workers > 1)]}" if workers else ""
    return f"{step['function']} ({step['defined']}) gets {rows} at once as {step['input']}{by}"


def _source_words(source: Description) -> str:
    if source["type"] == "python":
        return f"function {source['function']} ({source['defined']})"
    if source["type"] == "file":
        return f"{source['format']} files {source['path']}"
    if source["type"] == "api":
        of = f" of connection {source['connection']}" if source["connection"] else ""
        pages = (
            "one answer" if source["pagination"] == "none" else f"pages by {source['pagination']}"
        )
        return f"api {source['url']}{of}, {pages}"
    if source["type"] == "topic":
        return f"topic {source['topic']} of connection {source['connection']}"
    by = f", partitions by {source['cursor']}" if source["cursor"] else ""
    what = f"table {source['table']}" if "table" in source else "query"
    return f"{what} of connection {source['connection']}{by}"


def _target_words(target: Description) -> str:
    if target["type"] == "file":
        kind = target["compression"]
        packed = f", {kind}" if kind != "none" else ""
        return f"{target['format']} files {target['path']}{packed}"
    column = f", partition in {target['partition_column']}" if target["partition_column"] else ""
    place = f"table {target['table']} of connection {target['connection']}"
    keys = f" by {', '.join(target['keys'])}" if target.get("keys") else ""
    how = _WRITES[target["write"]]
    return f"{place}, {target['write']}{keys}{column}: {how}"


def _resources_words(resources: Description) -> str:
    amounts = {name: told for name, told in resources.items() if name != "isolated"}
    words = [f"{name}: {_mapping_words(told)}" for name, told in amounts.items()]
    own = ["each step in a pod of its own"] if "isolated" in resources else []
    return "; ".join([*words, *own])


def _mapping_words(value: str | Description) -> str:
    if isinstance(value, str):
        return value
    return ", ".join(f"{name} {_scalar(item)}" for name, item in value.items())


def _scalar(item: object) -> str:
    return str(item).lower() if isinstance(item, bool) else str(item)


def _table(told: Description, width: int) -> Iterator[str]:
    """The statements that make a destination's table."""
    target: Description = told.get("target") or {}
    if "statements" not in target:
        return
    if target["statements"] is None:
        yield from _labelled("table", "not known before a run", width)
        return
    yield "  table, where it isn't there yet"
    for statement in target["statements"]:
        yield from _filled(f"{statement};", 4, width)


def _columns(told: Description, width: int) -> Iterator[str]:
    if not told["columns"]:
        yield from _labelled("columns", "not known before a run", width)
        return
    more = ", and others that arrive" if told["more_columns"] else ""
    yield f"  columns{more}"
    names = min(30, max(len(column["name"]) for column in told["columns"]))
    for column in told["columns"]:
        notes = [
            (column["type"] or "type not known before a run").lower(),
            "" if column["nullable"] else "not null",
            "unique" if column["unique"] else "",
            "pii" if column["pii"] else "",
        ]
        text = ", ".join(note for note in notes if note)
        about = f"  {column['description']}" if column["description"] else ""
        yield from _hanging(f"{column['name']:<{names}}  {text}{about}", 4, width)


def _labelled(label: str, text: str, width: int) -> Iterator[str]:
    first = f"  {label:<{_LABEL}}"
    wrapped = textwrap.wrap(
        text, width, initial_indent=first, subsequent_indent=" " * len(first),
        break_long_words=False, break_on_hyphens=False,
    )  # fmt: skip
    yield from wrapped or [first.rstrip()]


def _hanging(text: str, indent: int, width: int) -> Iterator[str]:
    """Wrapped text whose further lines stand further in; runs of spaces in it are kept."""
    yield from textwrap.wrap(
        text, width, initial_indent=" " * indent, subsequent_indent=" " * (indent + 4),
        break_long_words=False, break_on_hyphens=False,
    )  # fmt: skip


def _filled(sql: str, indent: int, width: int) -> Iterator[str]:
    """A line of SQL broken at spaces outside of quotes, so that it still means the same."""
    own = len(sql) - len(sql.lstrip())
    line, start = "", " " * (indent + own)
    for word in _QUOTED.findall(sql):
        if line and len(start) + len(line) + 1 + len(word) > width:
            yield f"{start}{line}"
            line, start = word, " " * (indent + own + 4)
        else:
            line = f"{line} {word}" if line else word
    yield f"{start}{line}"
