"""What automation remembers from one tick to the next, as the text that Dagster keeps of a sensor.

Written and read by `ticking`. Dagster's own is 28 MB for 2,000 assets, since it holds all operands'
answers; here is only what some operand reads back, in one compressed text. An asset's part is made
anew when the asset is looked at, and stays as it is otherwise.
"""

import base64
import json
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from dagster._core.asset_graph_view.serializable_entity_subset import SerializableEntitySubset
from dagster._core.definitions.asset_key import EntityKey, entity_key_from_db_string
from dagster._core.definitions.declarative_automation.automation_condition import (
    AutomationResult,
    _compute_subset_value_str,
)
from dagster._core.definitions.declarative_automation.operands.operands import (
    InitialEvaluationCondition,
)
from dagster._core.definitions.declarative_automation.operators.boolean_operators import (
    NotAutomationCondition,
)
from dagster._core.definitions.declarative_automation.operators.dep_operators import (
    EntityMatchesCondition,
)
from dagster._core.definitions.declarative_automation.serialized_objects import (
    AutomationConditionCursor,
    AutomationConditionNodeCursor,
    HistoricalAllPartitionsSubsetSentinel,
    get_serializable_true_subset,
)
from dagster_shared.serdes import deserialize_value, serialize_value

_MARK = "data_platform/1:"
_NEVER_READ: frozenset[type] = frozenset(
    {NotAutomationCondition, EntityMatchesCondition, InitialEvaluationCondition}
)
"""Operands for which Dagster keeps answers that they never ask for."""


class State(NamedTuple):
    """What is remembered of an asset.

    Attributes:
        answers: a hash of all that its operands have answered.
        settled: those that will be read again: with the same twice, nothing has changed.
        text: Dagster's own form of these.
    """

    answers: str
    settled: str
    text: str


@dataclass(frozen=True)
class Memory:
    """What was so at a tick.

    Attributes:
        at: the moment that it judged, in seconds since 1970; None before the first.
        event: the newest event that it saw.
        states: what is remembered of each asset.
        packed: the states as text.
    """

    at: float | None
    event: int | None
    states: Mapping[EntityKey, State]
    packed: str = field(repr=False)
    _read: dict[EntityKey, AutomationConditionCursor] = field(
        default_factory=dict, init=False, repr=False
    )

    def get_previous_condition_cursor(self, key: EntityKey) -> AutomationConditionCursor | None:
        """What an asset's condition found at the tick; called by Dagster's evaluation.

        An asset that wasn't looked at would have found the same at the tick as when it was.
        """
        if key not in self._read:
            state = self.states.get(key)
            if state is None or self.at is None:
                return None
            found = deserialize_value(state.text, AutomationConditionCursor)
            self._read[key] = replace(found, effective_timestamp=self.at, last_event_id=self.event)
        return self._read[key]

    @classmethod
    def read(cls, text: str | None) -> "Memory":
        """What an earlier tick wrote; nothing where there is none, or it was Dagster's own."""
        if not text or not text.startswith(_MARK):
            return cls(None, None, {}, "")
        head, packed = text.removeprefix(_MARK).split("\n", 1)
        kept = json.loads(zlib.decompress(base64.b64decode(packed)))
        states = {entity_key_from_db_string(key): State(*state) for key, state in kept.items()}
        at, event = json.loads(head)
        return cls(at, event, states, packed)

    def after(
        self, at: float, event: int | None, states: Mapping[EntityKey, State] | None
    ) -> "Memory":
        """What was so at the next tick; without states where no asset was looked at."""
        if states is None:
            return replace(self, at=at, event=event)
        kept = {key.to_db_string(): state for key, state in states.items()}
        packed = base64.b64encode(zlib.compress(json.dumps(kept).encode(), level=1)).decode()
        return Memory(at, event, states, packed)

    def written(self) -> str:
        """The text that Dagster keeps."""
        return f"{_MARK}{json.dumps([self.at, self.event])}\n{self.packed}"


def state_of(result: AutomationResult) -> State:
    """What is to be remembered of an asset that was looked at."""
    requested = get_serializable_true_subset(result.true_subset)
    nodes = dict(_nodes(result))
    cursor = AutomationConditionCursor(
        previous_requested_subset=requested,
        effective_timestamp=0,
        last_event_id=None,
        node_cursors_by_unique_id=nodes,
        result_value_hash=result.value_hash,
    )
    settled = [_words(requested)]
    for name, node in sorted(nodes.items()):
        # When an operand last answered is for people to read; it decides nothing.
        settled += [name, _words(node.true_subset), _words(node.extra_state)]
    return State(result.value_hash, " ".join(settled), serialize_value(cursor))


def _nodes(result: AutomationResult) -> Iterator[tuple[str, AutomationConditionNodeCursor]]:
    if type(result.condition) not in _NEVER_READ and result.node_cursor:
        # None of the operands that are known asks what it was asked about; it is half of the text.
        asked = HistoricalAllPartitionsSubsetSentinel()
        yield result.condition_unique_id, replace(result.node_cursor, candidate_subset=asked)
    for child in result.child_results:
        yield from _nodes(child)


def _words(value: object) -> str:
    """A text that is the same for the same answers."""
    if isinstance(value, SerializableEntitySubset):
        return _compute_subset_value_str(value)
    return repr(value)
