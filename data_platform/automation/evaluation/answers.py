"""What operands have answered, as words to compare and as texts to keep.

Called by `memory`. Thousands of assets have the same few answers, such as the newest day, so in a
tick each is put into words once.
"""

from collections.abc import Callable, Hashable, Sequence
from functools import lru_cache
from typing import Any, cast

from dagster._core.asset_graph_view.serializable_entity_subset import (
    EntitySubsetValue,
    SerializableEntitySubset,
)
from dagster._core.definitions.asset_key import EntityKey, entity_key_from_db_string
from dagster._core.definitions.declarative_automation.automation_condition import (
    _compute_subset_value_str,
)
from dagster._core.definitions.partitions.subset import (
    AllPartitionsSubset,
    PartitionsSubset,
    TimeWindowPartitionsSubset,
)
from dagster_shared.serdes import deserialize_value, serialize_value

Subset = SerializableEntitySubset[Any]
Text = Sequence[str]
"""A subset as text: its value, and its key where that isn't the asset's own."""


class Answers:
    """Puts what a tick has found into words."""

    def __init__(self) -> None:
        self._words: dict[Hashable, str] = {}
        self._texts: dict[Hashable, str] = {}

    def words(self, subset: Subset) -> str:
        """What is the same for the same partitions, whatever asset they are of."""
        return _once(self._words, subset.value, lambda: _compute_subset_value_str(subset))

    def text(self, subset: Subset, own: EntityKey) -> Text:
        """What `read` makes the subset of again."""
        text = _once(self._texts, subset.value, lambda: _text(subset.value))
        return (text,) if subset.key == own else (text, subset.key.to_db_string())


def read(text: Text, own: EntityKey) -> Subset:
    """The subset that this is the text of."""
    key = entity_key_from_db_string(text[1]) if len(text) > 1 else own
    return SerializableEntitySubset(key, _value(text[0]))


def _once(known: dict[Hashable, str], value: EntitySubsetValue, make: Callable[[], str]) -> str:
    name = _name(value)
    if name is None:
        return make()
    if name not in known:
        known[name] = make()
    return known[name]


def _name(value: EntitySubsetValue) -> Hashable:
    """What tells a subset from others of the tick, all of which are there until its end."""
    match value:
        case bool():
            return value
        case AllPartitionsSubset():
            return id(value.partitions_def), "all"
        case TimeWindowPartitionsSubset():
            windows = value.included_time_windows
            return id(value.partitions_def), *(
                (one.start_timestamp, one.end_timestamp) for one in windows
            )
        case _:
            return None


def _text(value: EntitySubsetValue) -> str:
    if isinstance(value, PartitionsSubset):
        return serialize_value(cast("Any", value.to_serializable_subset()))
    return serialize_value(value)


@lru_cache(1000)
def _value(text: str) -> EntitySubsetValue:
    return cast("EntitySubsetValue", deserialize_value(text))
