"""A person's question to the lake: which tables of the pipelines it may name, and what they hold.

Called by the command's `query`. Held to the same allow-list as SQL in pipelines; reads one snapshot
of each table and nothing beside the lake.
"""

import difflib

from data_platform.engine.answers import Answer, answer_of
from data_platform.errors import ConfigurationError, Location, PermanentError, Problem
from data_platform.observability.quarantine import show_held
from data_platform.plan.keys import Key
from data_platform.plan.naming import PROVENANCE
from data_platform.plan.nodes import Input, LakeNode, RawNode
from data_platform.plan.pipelines import Plan
from data_platform.plan.sources.kinds import Files
from data_platform.storage.asking import compiled, database_words
from data_platform.storage.workbench import Workbench


def ask(sql: str, plan: Plan, workbench: Workbench, limit: int | None) -> Answer:
    """Run a SELECT over published tables.

    Args:
        sql: names tables as `layer.name` or `pipeline.layer.name`; the layer may be quarantine.
        plan: what there is.
        workbench: with the lake.
        limit: of the rows that are kept; None means all.

    Raises:
        PermanentError: it isn't allowed, names what there isn't, or fails. In one line.
    """
    tables = _tables(plan)
    query = compiled(sql, lambda reference, at: _input(reference, at, tables))
    for given in query.inputs:
        if workbench.lake.table(given.key).snapshot() is None:
            raise PermanentError(f"{given.key} {_why_empty(given.key)}")
    with workbench.open() as (session, _), database_words():
        for given in query.inputs:
            if given.key.layer == "quarantine":
                show_held(session, tables[given.key], workbench.lake)
                continue
            snapshot = workbench.lake.table(given.key).snapshot()
            if snapshot is not None:
                files = snapshot.files(snapshot.partitions)
                named = _names_provenance(sql, tables[given.key])
                session.show(given.key.relation, files, hidden=False, provenance=named)
        return answer_of(session, query.sql, limit=limit)


def _tables(plan: Plan) -> dict[Key, LakeNode]:
    """Every table of the lake by the key under which it is asked for."""
    tables: dict[Key, LakeNode] = {}
    for node in plan.nodes:
        if isinstance(node, LakeNode):
            tables[node.key] = node
            if node.has_quarantine:
                tables[node.quarantine_key] = node
    return tables


def _input(reference: str, at: Location, tables: dict[Key, LakeNode]) -> Input:
    found = [key for key in tables if reference in (key.relation, f"{key.layer}.{key.name}")]
    if len(found) == 1:
        return Input(found[0], "whole")
    if found:
        choices = ", ".join(key.relation for key in found)
        raise ConfigurationError(
            [Problem(at, f"{reference} is in several pipelines: name one of {choices}")]
        )
    names = [name for key in tables for name in (key.relation, f"{key.layer}.{key.name}")]
    near = difflib.get_close_matches(reference, names, 1)
    hint = f"did you mean {near[0]}?" if near else "tables are named pipeline.layer.name"
    raise ConfigurationError([Problem(at, f"there is no table {reference}; {hint}")])


def _names_provenance(sql: str, node: LakeNode) -> bool:
    """Whether a question asks which file rows are from: then a raw table of files tells it."""
    from_files = isinstance(node, RawNode) and isinstance(node.source, Files)
    return from_files and any(name in sql.lower() for name in PROVENANCE)


def _why_empty(key: Key) -> str:
    return (
        "is empty: no row was held back"
        if key.layer == "quarantine"
        else "has never been published"
    )
