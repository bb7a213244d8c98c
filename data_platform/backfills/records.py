"""The record of a backfill: what it is of, what it is held to, and how it stands.

Made and read by the other modules of this package, and by `keeping.at_work`. How it stands is a
backfill of Dagster's, which the UI shows: as one whose runs have all been asked for, so that the
daemon counts what they made and launches none. What the daemon has no place for is beside it, as
JSON in Dagster's table of names and texts.
"""

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import dagster as dg
from dagster._core.definitions.assets.graph.asset_graph_subset import AssetGraphSubset
from dagster._core.execution.backfill import (
    BulkActionsFilter,
    BulkActionStatus,
    PartitionBackfill,
)
from dagster._core.storage.tags import BACKFILL_ID_TAG

from data_platform.asset_specs import asset_key
from data_platform.errors import PermanentError
from data_platform.instance.audit_trail import actor
from data_platform.instance.users import USER_TAG
from data_platform.plan.keys import Key
from data_platform.run_tags import CAUSE_TAG, FORCE_TAG, ORIGIN_TAG, pins

PREFIX = "data_platform/backfill/"
_CANCELLED = {BulkActionStatus.CANCELING, BulkActionStatus.CANCELED, BulkActionStatus.FAILING}
_SUCCEEDED = {BulkActionStatus.COMPLETED_SUCCESS, BulkActionStatus.COMPLETED}


@dataclass(frozen=True)
class Backfill:
    """What a backfill is of, as it was asked for, and what it is held to.

    Attributes:
        backfill_id: by which it goes on.
        pipeline: of its assets.
        started: when it was asked for.
        wanted: the partitions of each asset, upstreams first.
        settings: values of parameters, as a person wrote them.
        force: compute though nothing changed.
        size: the most partitions of a run; None means that a range is one run.
        at_once: the most runs at once, which then go through Dagster's queue; None means one after
            the other, in the process of the command.
        max_failures: runs that may fail before it stops.
        code: the code version of each asset when it was asked for.
        versions: of the tables that it reads and doesn't make, as they stood then.
        events: the newest materialization of each of them then.
        lake: where it writes.
    """

    backfill_id: str
    pipeline: str
    started: datetime
    wanted: Mapping[Key, tuple[str, ...]]
    settings: tuple[str, ...] = ()
    force: bool = False
    size: int | None = None
    at_once: int | None = None
    max_failures: int = 3
    code: Mapping[Key, str] = field(default_factory=dict[Key, str])
    versions: Mapping[Key, int] = field(default_factory=dict[Key, int])
    events: Mapping[Key, int | None] = field(default_factory=dict[Key, "int | None"])
    lake: str = ""

    @property
    def run_tags(self) -> dict[str, str]:
        """Of each of its runs."""
        return {
            BACKFILL_ID_TAG: self.backfill_id,
            ORIGIN_TAG: "command",
            USER_TAG: actor().name,
            CAUSE_TAG: f"backfill {self.backfill_id}",
            **({FORCE_TAG: "true"} if self.force else {}),
            **pins(self.versions, self.events),
        }

    def written(self) -> str:
        """As JSON; partitions that several assets have in common are written once."""
        groups: dict[tuple[str, ...], list[str]] = {}
        for key, keys in self.wanted.items():
            groups.setdefault(keys, []).append(str(key))
        return json.dumps(
            {
                "pipeline": self.pipeline,
                "started": self.started.isoformat(),
                "order": [str(key) for key in self.wanted],
                "wanted": [{"assets": some, "partitions": keys} for keys, some in groups.items()],
                "settings": self.settings,
                "force": self.force,
                "size": self.size,
                "at_once": self.at_once,
                "max_failures": self.max_failures,
                "code": _texts(self.code),
                "versions": _texts(self.versions),
                "events": _texts(self.events),
                "lake": self.lake,
            }
        )

    @classmethod
    def read(cls, backfill_id: str, text: str) -> "Backfill":
        """What `written` wrote."""
        said = json.loads(text)
        partitions = {
            asset: tuple(group["partitions"])
            for group in said["wanted"]
            for asset in group["assets"]
        }
        return cls(
            backfill_id,
            said["pipeline"],
            datetime.fromisoformat(said["started"]),
            {_key(asset): partitions[asset] for asset in said["order"]},
            tuple(said["settings"]),
            said["force"],
            said["size"],
            said["at_once"],
            said["max_failures"],
            _keyed(said["code"]),
            _keyed(said["versions"]),
            _keyed(said["events"]),
            said["lake"],
        )


@dataclass(frozen=True)
class Recorded:
    """A backfill and how it stands.

    Attributes:
        backfill: what it is.
        status: `open`, `succeeded`, `failed`, `cancelled`.
        ended: when; None while it is open.
    """

    backfill: Backfill
    status: str
    ended: datetime | None


def save(instance: dg.DagsterInstance, definitions: dg.Definitions, backfill: Backfill) -> None:
    """Keep a new backfill; what the UI shows comes last, so that nothing is shown without more."""
    text = backfill.written()
    instance.daemon_cursor_storage.set_cursor_values({f"{PREFIX}{backfill.backfill_id}": text})
    instance.add_backfill(_shown(instance, definitions, backfill))


def open_again(instance: dg.DagsterInstance, backfill: Backfill) -> None:
    """Let it be in progress once more, with what it is held to now; what it made still counts."""
    text = backfill.written()
    instance.daemon_cursor_storage.set_cursor_values({f"{PREFIX}{backfill.backfill_id}": text})
    shown = instance.get_backfill(backfill.backfill_id)
    if shown is None or shown.asset_backfill_data is None:
        raise AssertionError(backfill.backfill_id)
    data = shown.asset_backfill_data.with_failed_and_downstream_subset(AssetGraphSubset())
    instance.update_backfill(
        shown.with_status(BulkActionStatus.REQUESTED)._replace(
            asset_backfill_data=data, backfill_end_timestamp=None
        )
    )


def close(instance: dg.DagsterInstance, backfill_id: str, status: str) -> None:
    """Say how it ended: `succeeded`, `failed` or `cancelled`."""
    found = instance.get_backfill(backfill_id)
    if found is not None:
        ends = {
            "succeeded": BulkActionStatus.COMPLETED_SUCCESS,
            "failed": BulkActionStatus.COMPLETED_FAILED,
            "cancelled": BulkActionStatus.CANCELED,
        }
        instance.update_backfill(found.with_status(ends[status]).with_end_timestamp(time.time()))


def find(instance: dg.DagsterInstance, backfill_id: str) -> Recorded:
    """A backfill by its id, or by the beginning of one.

    Raises:
        PermanentError: there is none, or several.
    """
    found = [one for one in recorded(instance) if one.backfill.backfill_id.startswith(backfill_id)]
    if len(found) == 1:
        return found[0]
    if found:
        ids = ", ".join(one.backfill.backfill_id for one in found[:5])
        raise PermanentError(f"several backfills begin with {backfill_id!r}: {ids}")
    raise PermanentError(
        f"there is no backfill {backfill_id!r} of the command; `data-platform backfill --list` "
        "shows those that there are"
    )


def recorded(instance: dg.DagsterInstance, limit: int | None = None) -> Iterator[Recorded]:
    """The backfills that commands started, newest first."""
    tags = {ORIGIN_TAG: "command"}
    shown = instance.get_backfills(filters=BulkActionsFilter(tags=tags), limit=limit)
    texts = instance.daemon_cursor_storage.get_cursor_values(
        {f"{PREFIX}{one.backfill_id}" for one in shown}
    )
    for one in shown:
        text = texts.get(f"{PREFIX}{one.backfill_id}")
        if text is not None:
            ended = one.backfill_end_timestamp
            moment = datetime.fromtimestamp(ended, UTC) if ended else None
            yield Recorded(Backfill.read(one.backfill_id, text), _status(one.status), moment)


def is_cancelled(instance: dg.DagsterInstance, backfill_id: str) -> bool:
    """Whether somebody wants it to end, here or in the UI."""
    found = instance.get_backfill(backfill_id)
    return found is None or found.status in _CANCELLED


def _shown(
    instance: dg.DagsterInstance, definitions: dg.Definitions, backfill: Backfill
) -> PartitionBackfill:
    """What Dagster keeps of it: nothing is left to launch, and what was made is counted."""
    target = _subset(definitions, backfill)
    shown = PartitionBackfill.from_asset_graph_subset(
        backfill_id=backfill.backfill_id,
        backfill_timestamp=backfill.started.timestamp(),
        tags={tag: value for tag, value in backfill.run_tags.items() if tag != BACKFILL_ID_TAG},
        dynamic_partitions_store=instance,
        asset_graph_subset=target,
        title=f"data-platform backfill {backfill.pipeline}",
        description=", ".join(f"--set {one}" for one in backfill.settings) or None,
        run_config=None,
    )
    data = shown.asset_backfill_data
    if data is None:
        raise AssertionError(shown)
    newest = instance.event_log_storage.get_maximum_record_id() or 0
    asked = data._replace(
        requested_runs_for_target_roots=True, requested_subset=target, latest_storage_id=newest
    )
    return shown._replace(asset_backfill_data=asked)


def _subset(definitions: dg.Definitions, backfill: Backfill) -> AssetGraphSubset:
    graph = definitions.resolve_asset_graph()
    partitioned, plain = {}, set[dg.AssetKey]()
    for key, keys in backfill.wanted.items():
        definition = graph.get(asset_key(key)).partitions_def
        if definition is None:
            plain.add(asset_key(key))
        else:
            subset = definition.empty_subset().with_partition_keys(keys)
            partitioned[asset_key(key)] = subset
    return AssetGraphSubset(
        partitions_subsets_by_asset_key=partitioned, non_partitioned_asset_keys=plain
    )


def _status(status: BulkActionStatus) -> str:
    if status in _CANCELLED:
        return "cancelled"
    if status in _SUCCEEDED:
        return "succeeded"
    return "open" if status is BulkActionStatus.REQUESTED else "failed"


def _texts(by_key: Mapping[Key, object]) -> dict[str, object]:
    return {str(key): value for key, value in by_key.items()}


def _keyed(by_text: Mapping[str, Any]) -> dict[Key, Any]:
    return {_key(text): value for text, value in by_text.items()}


def _key(text: str) -> Key:
    return Key(*text.split("/"))
