"""The sensor of dynamic partitions: each new value of a column is a key, and its sources run.

One for each pipeline that says where keys come from; called by `building`. The asset is looked at
when its table has another version. Keys aren't taken away: what was made of them stays.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import dagster as dg

from data_platform.asset_specs import asset_key
from data_platform.automation.sensors.reached import Pipelines
from data_platform.automation.sensors.run_requests import Wanted, run_requests
from data_platform.errors import PlatformError
from data_platform.plan.nodes import LakeNode, RawNode
from data_platform.plan.partitions import Partitions
from data_platform.plan.pipelines import Plan, Registration
from data_platform.storage.asking import table_frame

MOST_KEYS = 100
"""That one tick registers; the rest comes with the next."""
POLL_SECONDS = 30


@dataclass(frozen=True)
class Known:
    """What is known of dynamic partitions from one tick to the next.

    Attributes:
        version: of the table that needs no second look; None where it does.
        pending: keys that the next tick registers and runs. They are in the cursor before anything
            is done about them, so that a tick which is lost can be done again.
    """

    version: int | None = None
    pending: tuple[str, ...] = ()


@dataclass(frozen=True)
class Found:
    """What one look at an asset comes to.

    Attributes:
        known: by the next look.
        words: what was seen.
    """

    known: Known
    words: str


def sources_of(plan: Plan, name: str) -> list[RawNode]:
    """The sources with the dynamic partitions of a name; what is below follows them."""
    return [
        node
        for node in plan.nodes
        if isinstance(node, RawNode)
        and node.enabled
        and node.partitions is not None
        and node.partitions.dynamic == name
    ]


def registering_sensor(
    loaded: Pipelines, pipeline: str, registrations: Sequence[Registration]
) -> dg.SensorDefinition:
    """The sensor of a pipeline's `dynamic`, on from the first start."""
    targets = [node.key for one in registrations for node in sources_of(loaded.plan, one.name)]
    # A sensor needs something that it could start.
    targets = targets or [one.source for one in registrations]

    @dg.sensor(
        name=f"{pipeline}_keys",
        asset_selection=dg.AssetSelection.assets(*map(asset_key, dict.fromkeys(targets))),
        minimum_interval_seconds=POLL_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=f"Registers the keys that assets of {pipeline} name, and runs new ones.",
    )
    def sensor(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        known = _known(context.cursor)
        due = {one.name: known.get(one.name, Known()) for one in registrations}
        looked = {
            one.name: _looked(loaded, context.instance, one, due[one.name]) for one in registrations
        }
        requests = run_requests(
            Wanted(node, [key], f"new {name}: {key}", "registered")
            for name, one in due.items()
            for key in one.pending
            for node in sources_of(loaded.plan, name)
        )
        words = "; ".join(f"{name}: {found.words}" for name, found in looked.items())
        return dg.SensorResult(
            run_requests=requests,
            skip_reason=None if requests else dg.SkipReason(words),
            dynamic_partitions_requests=[
                dg.AddDynamicPartitionsRequest(name, list(one.pending))
                for name, one in due.items()
                if one.pending
            ],
            cursor=json.dumps({name: asdict(found.known) for name, found in looked.items()}),
        )

    return sensor


def _known(cursor: str | None) -> dict[str, Known]:
    try:
        return {
            name: Known(one["version"], tuple(one["pending"]))
            for name, one in json.loads(cursor or "{}").items()
        }
    except (ValueError, TypeError, KeyError, AttributeError):
        return {}


def _looked(
    loaded: Pipelines, instance: dg.DagsterInstance, one: Registration, known: Known
) -> Found:
    node = loaded.plan[one.source]
    if isinstance(node, LakeNode) and node.masking.hides(one.column):
        reason = "tells of a person, and keys of partitions are seen everywhere: mask it first"
        return Found(Known(), f"{one.source}.{one.column} {reason}")
    try:
        snapshot = loaded.lake().table(one.source).snapshot()
        if snapshot is None:
            return Found(Known(), f"{one.source} isn't published yet")
        if snapshot.version == known.version:
            return Found(Known(known.version), f"{one.source} is as it was")
        frame = table_frame(str(one.source), loaded.workbench(), "arrow", columns=[one.column])
    except PlatformError as error:
        return Found(Known(), f"{error}")
    values = [str(value) for value in frame.column(0).unique().to_pylist() if value is not None]
    keys = sorted(filter(Partitions(dynamic=one.name).is_key, values))
    registered = {*instance.get_dynamic_partitions(one.name), *known.pending}
    new = [key for key in keys if key not in registered]
    words = f"{len(keys):,} keys, {len(new):,} new: they run with the next look"
    if strange := len(values) - len(keys):
        words += f"; {strange} values can't be keys"
    done = snapshot.version if len(new) <= MOST_KEYS else None
    return Found(Known(done, tuple(new[:MOST_KEYS])), words)
