"""The lake as an IO manager: rows as parameters of any function that Dagster calls.

Dagster calls it for the parameters of an `@asset_check`, for `load_asset_value`, and in a person's
own definitions. Assets of an `assets.py` are read and published by their own step, which knows
their rules and the single partitions of a range.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import dagster as dg
from pydantic import Field

from data_platform.dataframes import Frames, publish_frames
from data_platform.engine.lake_frames import ALLOWED, frame_type, read_frame
from data_platform.errors import Location, PermanentError
from data_platform.plan.keys import Key
from data_platform.plan.naming import WHOLE
from data_platform.plan.nodes import PythonNode
from data_platform.resources import LakeResource
from data_platform.storage.versions import PartitionVersion
from data_platform.storage.workbench import Workbench

IO_MANAGER = "io_manager"
"""Dagster's name of the one that is used unless an asset names another."""
_RULES = ("columns", "quality")


class LakeIOManager(dg.ConfigurableIOManager):
    """Reads published partitions, and publishes what a function outside `assets.py` gives.

    A parameter gets what its annotation says, pandas without one; `columns` in its metadata takes
    only these. A range of partitions is published by the column that `partition_expr` in the
    asset's metadata names.
    """

    root: str = Field(
        description="The folder of all tables, from the project's home, or s3://bucket/prefix."
    )
    connection: dict[str, Any] | None = Field(
        default=None, description="Of type s3, as platform.yaml has it; None: the usual chain."
    )

    def load_input(self, context: dg.InputContext) -> Any:
        """The rows of an asset, of the partitions that Dagster asks for.

        Raises:
            PermanentError: they aren't published, or the annotation is none that can be filled.
        """
        key = _key(context.asset_key)
        wanted = frame_type(getattr(context.dagster_type, "typing_type", Any))
        if wanted is None:
            raise PermanentError(f"a parameter may be {ALLOWED}, or a dict of them by partition")
        workbench = self._workbench()
        snapshot = workbench.lake.table(key).snapshot()
        if snapshot is None:
            raise PermanentError(f"{key} has never been published")
        asked = context.has_asset_partitions and snapshot.partitioned
        wished = list(context.asset_partition_keys if asked else snapshot.partitions)
        # A check of an asset asks for all partitions that there may ever be.
        keys = [partition for partition in wished if partition in snapshot.partitions]
        if wished and not keys:
            raise PermanentError(f"{key} has no published partition {', '.join(wished[:3])}")
        columns = (context.definition_metadata or {}).get("columns")
        kind = wanted.kind
        if kind in {"duckdb", "reader"}:
            # Nothing tells when their reader is done; an Arrow table needs no session.
            raise PermanentError("a relation or reader ends with its step: ask for pyarrow.Table")
        with workbench.open() as (session, _):
            if wanted.by_partition:
                return {
                    partition: read_frame(session, snapshot.files([partition]), kind, columns)
                    for partition in keys
                }
            return read_frame(session, snapshot.files(keys), kind, columns)

    def handle_output(self, context: dg.OutputContext, obj: object) -> None:
        """Publish what a function gave, all of it in one commit.

        Raises:
            PermanentError: it can't be published, or has rules, which only a step can report.
        """
        key = _key(context.asset_key)
        metadata = context.definition_metadata or {}
        rules = [name for name in _RULES if name in metadata]
        if rules:
            raise PermanentError(
                f"{key} has {rules[0]} in its metadata: contracts and rules are held for assets of "
                "an assets.py beside a pipeline"
            )
        keys = list(context.asset_partition_keys) if context.has_asset_partitions else [WHOLE]
        node = _plain_node(key, metadata.get("partition_expr"), by_range=len(keys) > 1)
        if len(keys) > 1 and node.partition_expr is None and not isinstance(obj, dict):
            raise PermanentError(
                f"{key}: one frame for {len(keys)} partitions needs partition_expr in the "
                "metadata, the column that tells the partition of a row; a dict of frames doesn't"
            )
        workbench = self._workbench()
        with workbench.open() as (session, scratch):
            frames = Frames(node, scratch, keys)
            if len(keys) > 1:
                frames.add_range(keys, obj)
            else:
                frames.add(keys[0], obj)
            said = {"run_id": context.run_id, "asset": str(key)}
            passage = publish_frames(
                session, scratch, frames, workbench.lake.table(key), keys, {}, said
            )
        if passage.failed:
            raise PermanentError("; ".join(dict.fromkeys(passage.failed.values())))
        if passage.publication is not None:
            self._say(context, passage.publication.versions)

    def _workbench(self) -> Workbench:
        return LakeResource(root=self.root, connection=self.connection).workbench()

    @staticmethod
    def _say(context: dg.OutputContext, versions: Mapping[str, PartitionVersion]) -> None:
        context.add_output_metadata(
            {
                "dagster/row_count": sum(version.rows for version in versions.values()),
                "bytes": sum(version.bytes for version in versions.values()),
            }
        )
        if len(versions) == 1:
            [version] = versions.values()
            context.step_context.set_data_version(
                context.asset_key, dg.DataVersion(version.data_version)
            )


def _key(key: dg.AssetKey) -> Key:
    if len(key.path) != len(Key._fields):
        raise PermanentError(
            f"the key {key.to_user_string()} isn't layer/pipeline/name, by which the lake keeps it"
        )
    return Key(*key.path)


def _plain_node(key: Key, partition_expr: str | None, *, by_range: bool) -> PythonNode:
    """A node without rules, of an asset that no pipeline declares."""
    return PythonNode(
        key=key,
        location=Location(Path(key.name)),
        description=None,
        owner="",
        criticality="medium",
        tags={},
        runbook=None,
        partitions=None,
        function=str(key),
        step=key.name,
        by_range=by_range,
        partition_expr=partition_expr,
    )
