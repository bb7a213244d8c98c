"""What automation remembers from one tick to the next, as the text that Dagster keeps of a sensor.

Written and read by `ticking`. Dagster's own is 28 MB for 2,000 assets, since it holds all operands'
answers; here is only what some operand reads back, in one compressed text. An asset's part is made
anew when the asset is looked at, and stays as it is otherwise.
"""

import base64
import json
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from dagster._core.asset_graph_view.serializable_entity_subset import SerializableEntitySubset
from dagster._core.definitions.asset_key import EntityKey, entity_key_from_db_string
from dagster._core.definitions.declarative_automation.automation_condition import (
    AutomationResult,
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
from dagster._utils.security import non_secure_md5_hash_str
from dagster_shared.serdes import deserialize_value, serialize_value

from data_platform.automation.evaluation.answers import Answers, Text, read

_MARK = "data_platform/2:"
_NEVER_READ: frozenset[type] = frozenset(
    {NotAutomationCondition, EntityMatchesCondition, InitialEvaluationCondition}
)
"""Operands for which Dagster keeps answers that they never ask for."""
_ASKED = HistoricalAllPartitionsSubsetSentinel()


class State(NamedTuple):
    """What is remembered of an asset.

    Attributes:
        answers: a hash of all that its operands have answered.
        settled: those that will be read again: with the same twice, nothing has changed.
        text: these as text.
        since: the moment and the newest event of the tick up to which it was judged, where it waits
            for its turn; None means those of the last tick.
    """

    answers: str
    settled: str
    text: str
    since: tuple[float, int | None] | None = None


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

        An asset that wasn't looked at would have found the same at the tick as when it was, unless
        it waits for its turn.
        """
        if key not in self._read:
            state = self.states.get(key)
            if state is None or self.at is None:
                return None
            at, event = state.since or (self.at, self.event)
            self._read[key] = _cursor(key, state, at, event)
        return self._read[key]

    def waiting(self, keys: Iterable[EntityKey]) -> dict[EntityKey, State]:
        """What is remembered of assets that wait for their turn: what came since is to be judged.

        Args:
            keys: of the assets; those of which nothing is remembered are left out.
        """
        if self.at is None:
            return {}
        now = (self.at, self.event)
        known = {key: self.states[key] for key in keys if key in self.states}
        return {key: one._replace(since=one.since or now) for key, one in known.items()}

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


def state_of(result: AutomationResult, answers: Answers) -> State:
    """What is to be remembered of an asset that was looked at."""
    requested = get_serializable_true_subset(result.true_subset)
    settled = [answers.words(requested)]
    nodes: dict[str, Sequence[Text] | str] = {}
    told: list[str] = []
    for one in _parts(result):
        name = one.condition_unique_id
        true = one.true_subset.convert_to_serializable_subset()
        asked = one._context.candidate_subset.convert_to_serializable_subset()  # noqa: SLF001
        told += [name, answers.words(true), answers.words(asked), *one._metadata]  # noqa: SLF001
        if type(one.condition) not in _NEVER_READ and one.node_cursor:
            settled += [name, *_settled(one.node_cursor, answers)]
            nodes[name] = _written(one.node_cursor, result.key, answers)
    text = json.dumps([answers.text(requested, result.key), nodes])
    return State(non_secure_md5_hash_str("".join(told).encode()), " ".join(settled), text)


def _parts(result: AutomationResult) -> Iterator[AutomationResult]:
    yield result
    for child in result.child_results:
        yield from _parts(child)


def _settled(node: AutomationConditionNodeCursor, answers: Answers) -> Iterable[str]:
    # When an operand last answered is for people to read; it decides nothing.
    for each in (node.true_subset, node.extra_state):
        yield answers.words(each) if isinstance(each, SerializableEntitySubset) else repr(each)


def _written(
    node: AutomationConditionNodeCursor, own: EntityKey, answers: Answers
) -> Sequence[Text] | str:
    """What an operand remembers: one or two subsets, or Dagster's own form of what is more."""
    extra = node.extra_state
    if not (node.metadata or node.subsets_with_metadata):
        if extra is None:
            return [answers.text(node.true_subset, own)]
        if isinstance(extra, SerializableEntitySubset):
            return [answers.text(one, own) for one in (node.true_subset, extra)]
    # None of the operands that are known asks what it was asked about; it is half of the text.
    return serialize_value(replace(node, candidate_subset=_ASKED))


def _cursor(
    key: EntityKey, state: State, at: float, event: int | None
) -> AutomationConditionCursor:
    """What was written, in the form that Dagster's evaluation reads."""
    requested, nodes = json.loads(state.text)
    return AutomationConditionCursor(
        previous_requested_subset=read(requested, key),
        effective_timestamp=at,
        last_event_id=event,
        node_cursors_by_unique_id={name: _node(kept, key) for name, kept in nodes.items()},
        result_value_hash=state.answers,
    )


def _node(kept: Sequence[Text] | str, own: EntityKey) -> AutomationConditionNodeCursor:
    if isinstance(kept, str):
        return deserialize_value(kept, AutomationConditionNodeCursor)
    true, *extra = (read(one, own) for one in kept)
    return AutomationConditionNodeCursor(
        true_subset=true,
        candidate_subset=_ASKED,
        subsets_with_metadata=[],
        extra_state=extra[0] if extra else None,
    )
