"""The sensor that tells lineage, on from the first start wherever platform.yaml says where to.

Called by `definitions`. Nothing of it is in a run: it follows the log, and a sink that is slow or
down costs a tick some seconds. What it needs is imported when it first ticks.
"""

import functools
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import dagster as dg
from sqlalchemy.exc import DBAPIError

from data_platform.asset_specs import asset_key
from data_platform.engine.outside import Outside
from data_platform.errors import PlatformError, TransientError
from data_platform.instance.own_tables import trouble_words
from data_platform.plan.pipelines import Plan
from data_platform.secrets.masker import mask
from data_platform.spec.reading import Workspace
from data_platform.spec.references import referred
from data_platform.spec.telemetry import Lineage
from data_platform.storage.lake import Lake

if TYPE_CHECKING:
    from data_platform.observability.openlineage.describing import Descriptions

SECONDS = 15
FOLLOWING, DELIVERING = 10.0, 15.0
"""Seconds of a tick after which it makes, and sends, no more."""


class Pipelines(Protocol):
    """What is asked of the pipelines; `loading.Loaded` is one."""

    @property
    def workspace(self) -> Workspace:
        """As read."""
        ...

    @property
    def plan(self) -> Plan:
        """What will exist."""
        ...

    @property
    def home(self) -> Path:
        """At which relative paths start."""
        ...

    def outside(self) -> Outside:
        """What the pipelines connect to."""
        ...

    def lake(self) -> Lake:
        """The lake."""
        ...


def lineage_sensor(loaded: Pipelines) -> dg.SensorDefinition | None:
    """The sensor; None where lineage is told to nobody."""
    lineage, plan = loaded.workspace.platform.lineage, loaded.plan
    if lineage is None or not plan.nodes or not _has_sink(lineage, loaded.outside()):
        return None
    descriptions = functools.cache(lambda: described(loaded, lineage))

    @dg.sensor(
        name="lineage",
        default_status=dg.DefaultSensorStatus.RUNNING,
        minimum_interval_seconds=SECONDS,
        description="Tells what runs read and wrote as events of OpenLineage.",
        asset_selection=dg.AssetSelection.assets(*(asset_key(node.key) for node in plan.nodes)),
    )
    def sensor(context: dg.SensorEvaluationContext) -> dg.SkipReason:
        try:
            return dg.SkipReason(tick(context.instance, loaded, lineage, descriptions()))
        except DBAPIError as error:
            return dg.SkipReason(trouble_words(error))

    return sensor


def tick(
    instance: dg.DagsterInstance,
    loaded: Pipelines,
    lineage: Lineage,
    descriptions: "Descriptions",
) -> str:
    """Make events of what is new, send what waits; what came of it in words.

    Args:
        instance: Dagster's.
        loaded: the pipelines.
        lineage: where to.
        descriptions: of the plan.
    """
    from data_platform.observability.openlineage.following import follow  # noqa: PLC0415
    from data_platform.observability.openlineage.outbox import deliver, waiting  # noqa: PLC0415
    from data_platform.observability.openlineage.sinks.choosing import sink_of  # noqa: PLC0415

    told: list[str] = []
    try:
        told.append(f"{follow(instance, descriptions, FOLLOWING)} new events")
    except TransientError as error:
        told.append(f"new events are left for later: {error}")
    trouble = None
    try:
        sink = sink_of(lineage, loaded.workspace.platform, loaded.home, loaded.outside().expand)
    except PlatformError as error:
        sink, trouble = None, str(error)
    if sink is not None:
        delivered = deliver(instance, sink, DELIVERING)
        sink.close()
        told.append(f"{delivered.sent} sent")
    left = waiting(instance)
    if left.count:
        told.append(f"{left.count} wait since {left.since:%Y-%m-%d %H:%M:%S %Z}")
    if left.refused:
        told.append(f"{left.refused} were refused and are tried again later")
    trouble = trouble or left.trouble
    return mask("; ".join([*told, *([trouble] if trouble else [])]))


def described(loaded: Pipelines, lineage: Lineage) -> "Descriptions":
    """What is known of the assets before any run.

    Args:
        loaded: the pipelines.
        lineage: with the namespace of jobs.
    """
    from data_platform.observability.openlineage.describing import Descriptions  # noqa: PLC0415
    from data_platform.observability.openlineage.naming import Naming  # noqa: PLC0415

    platform, expand = loaded.workspace.platform, loaded.outside().expand
    naming = Naming(platform, loaded.lake(), loaded.home, expand)
    return Descriptions(loaded.plan, naming, lineage.namespace)


def _has_sink(lineage: Lineage, outside: Outside) -> bool:
    """Whether it resolves to something; what a store of secrets keeps counts as something."""
    written = lineage.url or lineage.file or lineage.topic or ""
    if any(reference.is_outside for reference in referred(written)):
        return True
    try:
        return bool(outside.expand(written).strip())
    except PlatformError:
        # The tick says what isn't set.
        return True
