"""Dagster's text of an evaluation of automation, made from parts that most evaluations share.

Called by `evaluations`. Dagster asks of each of some twenty answers an asset what it is and how it
is written, which takes 2 ms; a few kinds of operands, assets and partitions are all there is.
"""

import json
from functools import lru_cache
from typing import Any, cast

from dagster._core.asset_graph_view.serializable_entity_subset import SerializableEntitySubset
from dagster._core.definitions.asset_key import EntityKey
from dagster._core.definitions.declarative_automation.serialized_objects import (
    AutomationConditionEvaluation,
    AutomationConditionNodeSnapshot,
    HistoricalAllPartitionsSubsetSentinel,
)
from dagster._core.definitions.partitions.subset import DefaultPartitionsSubset
from dagster_shared.serdes import serialize_value

_KEPT = 20_000
"""Texts that are kept, of some hundred bytes."""
_ALL = serialize_value(HistoricalAllPartitionsSubsetSentinel())


def text_of(evaluation: AutomationConditionEvaluation[Any]) -> str:
    """What `serialize_value` gives."""
    children = ", ".join(map(text_of, evaluation.child_evaluations))
    asked = evaluation.candidate_subset
    candidates = _subset(asked) if isinstance(asked, SerializableEntitySubset) else _ALL
    return (
        '{"__class__": "AssetConditionEvaluation", '
        f'"candidate_subset": {candidates}, '
        f'"child_evaluations": [{children}], '
        f'"condition_snapshot": {_snapshot(evaluation.condition_snapshot)}, '
        f'"end_timestamp": {json.dumps(evaluation.end_timestamp)}, '
        f'"metadata": {_rest(evaluation.metadata)}, '
        f'"start_timestamp": {json.dumps(evaluation.start_timestamp)}, '
        f'"subsets_with_metadata": {_rest(evaluation.subsets_with_metadata)}, '
        f'"true_subset": {_subset(evaluation.true_subset)}}}'
    )


def _subset(subset: SerializableEntitySubset[Any]) -> str:
    match subset.value:
        case bool():
            value = json.dumps(subset.value)
        case DefaultPartitionsSubset():
            value = _keys(frozenset(subset.value.subset))
        case _:
            return serialize_value(subset)
    return f'{{"__class__": "AssetSubset", "asset_key": {_key(subset.key)}, "value": {value}}}'


@lru_cache(_KEPT)
def _snapshot(snapshot: AutomationConditionNodeSnapshot) -> str:
    return serialize_value(snapshot)


@lru_cache(_KEPT)
def _key(key: EntityKey) -> str:
    return serialize_value(key)


@lru_cache(1000)
def _keys(keys: frozenset[str]) -> str:
    return serialize_value(DefaultPartitionsSubset(set(keys)))


def _rest(value: object) -> str:
    # Nearly always empty.
    return serialize_value(cast(Any, value)) if value else json.dumps(value)
