"""Assets that a person's functions make, as Dagster sees them.

Made from what `handwritten.reading` found. The functions run as they are written, and what they
give goes the way of every other asset: written, audited, published.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import dagster as dg

from data_platform.asset_specs import (
    asset_key,
    asset_spec,
    check_specs,
)
from data_platform.asset_steps import backfill_policy, lines_of, step_tags
from data_platform.beside import error_words, own_place
from data_platform.dataframes import Frames, publish_frames
from data_platform.engine.calls import passes
from data_platform.engine.discretion import discreet_error
from data_platform.engine.session import Session
from data_platform.errors import PermanentError, PlatformError, SourceUnavailable, TimedOut
from data_platform.handwritten.calling import Given, arguments, call
from data_platform.handwritten.partitioning import by_kept_keys
from data_platform.handwritten.written import WrittenStep
from data_platform.lake_steps import commit_metadata, computed, report_each
from data_platform.plan.checks.notices import further_checks
from data_platform.plan.keys import Key
from data_platform.plan.naming import WHOLE
from data_platform.plan.nodes import PythonNode
from data_platform.quality.gate import Passage
from data_platform.reporting.budgets import budget_result
from data_platform.reporting.events import failure_of, newest_events
from data_platform.reporting.taken import Meter
from data_platform.reporting.tries import discreetly, give_up, limited
from data_platform.resources import LAKE
from data_platform.spec.handwritten import HandwrittenAsset
from data_platform.storage.snapshots import missing_inputs, snapshots_of
from data_platform.storage.versions import Snapshot
from data_platform.storage.workbench import Workbench
from data_platform.work_left import NOTHING, work_left

DEFAULT_GROUP = "default"
"""Dagster's name of the group of an asset that names none."""


def handwritten_assets(step: WrittenStep, nodes: Sequence[PythonNode]) -> dg.AssetsDefinition:
    """The Dagster assets of one function.

    Args:
        step: the function and what is known of it.
        nodes: of all assets that it makes.
    """
    written = step.definition
    by_key = {asset_key(node.key): node for node in nodes}
    node = nodes[0]
    own_policy = written.op.retry_policy
    checks = {
        f"{'__'.join(check.asset_key.path)}__{check.name}": check
        for one in nodes
        for check in check_specs(one, further_checks(one))
    }
    own_checks = {
        name: check.replace_key(key=dg.AssetCheckKey(step.keys[check.asset_key], check.name))
        for name, check in written.check_specs_by_output_name.items()
    }
    inputs = {
        f"upstream_{number}": key
        for number, key in enumerate(
            dict.fromkeys(
                asset_key(given.key) for one in nodes for given in (*one.inputs, *one.after)
            )
        )
    }

    lines = lines_of(nodes)

    def compute(context: dg.AssetExecutionContext, _inputs: Mapping[str, object]) -> Iterator[Any]:
        selected = [by_key[key] for key in by_key if key in context.selected_asset_keys]
        try:
            with lines(context):
                yield from _Run(context, step, selected).run()
        except PlatformError as error:
            if own_policy:
                raise failure_of(error) from error
            give_up(context, node.retries, error)
        except Exception as error:
            if own_policy or not passes(error):
                raise
            give_up(context, node.retries, SourceUnavailable(error_words(error)))

    op = dg.OpDefinition(
        compute_fn=compute,
        name=node.step_name,
        ins={name: dg.In(dg.Nothing) for name in inputs},
        outs={
            **{
                name: dg.Out(dg.Nothing, is_required=not written.can_subset)
                for name in step.outputs
            },
            **{name: dg.Out(dg.Nothing, is_required=False) for name in [*checks, *own_checks]},
        },
        config_schema=written.op.config_schema,
        required_resource_keys={*written.op.required_resource_keys, LAKE},
        retry_policy=own_policy,
        pool=written.op.pool or node.pool,
        tags={**step_tags(node), **written.op.tags},
        description=written.op.description,
    )
    return dg.AssetsDefinition(
        keys_by_input_name=inputs,
        keys_by_output_name=step.outputs,
        node_def=op,
        can_subset=written.can_subset,
        resource_defs=written.resource_defs,
        backfill_policy=backfill_policy(node),
        check_specs_by_output_name={**checks, **own_checks},
        specs=[_spec(step, original, by_key[step.keys[original]]) for original in written.keys],
        hook_defs=written.hook_defs,
    )


def _spec(step: WrittenStep, original: dg.AssetKey, node: PythonNode) -> dg.AssetSpec:
    """The platform's spec of an asset, with what its decorator says besides."""
    said = step.definition.specs_by_key[original]
    spec = asset_spec(node)
    known = HandwrittenAsset.model_fields
    further = {name: value for name, value in said.metadata.items() if name not in known}
    return spec.replace_attributes(
        metadata={**further, **spec.metadata},
        tags={**said.tags, **spec.tags},
        kinds={*spec.kinds, *said.kinds},
        owners=list(dict.fromkeys([*said.owners, *spec.owners])) if said.owners else spec.owners,
        group_name=said.group_name if said.group_name != DEFAULT_GROUP else spec.group_name,
        automation_condition=said.automation_condition,
        freshness_policy=said.freshness_policy,
        skippable=said.skippable,
    )


class _Run:
    """One run of a step: calls, publication, report."""

    def __init__(
        self, context: dg.AssetExecutionContext, step: WrittenStep, nodes: Sequence[PythonNode]
    ) -> None:
        self._context = context
        self._step = step
        self._nodes = nodes
        self._node = nodes[0]
        partitions = self._node.partitions
        self._keys = list(context.partition_keys) if partitions else [WHOLE]
        self._timezone = partitions.timezone if partitions else "UTC"
        self._bench: Workbench = getattr(context.resources, LAKE).workbench()
        self._upstreams: dict[str, Snapshot] = {}
        self._failed: dict[str, str] = {}
        self._given: list[Given] = []
        self._said: dict[dg.AssetKey, dict[str, Mapping[str, Any]]] = {}
        """Metadata of a person's, by asset and partition."""

    def run(self) -> Iterator[Any]:
        """Call the function, publish what it gives, and report it."""
        meter = Meter()
        events: dict[Key, int | None] = {}
        for node in self._nodes:
            events |= newest_events(self._context, node)
        with limited(self._node) as work, discreetly(self._node):
            bench = replace(self._bench, work=work)
            left = work_left(self._context, self._nodes, self._keys, bench)
            self._keys, self._bench = list(left.keys), left.workbench
            passages = self._made() if left.keys else [NOTHING for _ in self._nodes]
        for given in self._given:
            yield from given.results
        for node, passage in zip(self._nodes, passages, strict=True):
            if passage is None:
                key = asset_key(node.key)
                said = list(self._said.get(key, {}).values())
                yield dg.MaterializeResult(key, metadata=said[-1] if said else {})
        published = [
            (node, left.whole(passage, number))
            for number, (node, passage) in enumerate(zip(self._nodes, passages, strict=True))
            if passage is not None
        ]
        taken = meter.read()
        if published:
            yield from report_each(self._context, published, self._bench, events, taken)
        for node, passage in zip(self._nodes, passages, strict=True):
            partitions = len(self._keys) if passage is None else computed(passage)
            yield from budget_result(self._context, node, taken, partitions)

    def _made(self) -> list[Passage | None]:
        """Call the function, and publish what it gives."""
        for node in self._nodes:
            self._upstreams |= snapshots_of(node, self._bench.lake)
        for node in self._nodes:
            self._failed |= missing_inputs(node, self._keys, self._upstreams)
        with self._bench.open(timezone=self._timezone) as (reading, scratch):
            frames = {
                asset_key(node.key): Frames(node, scratch, self._keys) for node in self._nodes
            }
            self._given = self._calls(reading, frames)
            return [self._passage(frames[asset_key(node.key)]) for node in self._nodes]

    def _calls(self, reading: Session, frames: Mapping[dg.AssetKey, Frames]) -> list[Given]:
        """Call the function, for all partitions or one by one, and keep the rows that it gives."""
        ready = [key for key in self._keys if key not in self._failed]
        if not ready:
            return []
        if self._node.by_range:
            given = self._call(None, reading, ready)
            for asset, rows in given.rows.items():
                frames[asset].add_range(ready, by_kept_keys(rows, self._step.dimensions))
            for asset, metadata in given.metadata.items():
                self._said[asset] = dict.fromkeys(ready, metadata)
            return [given]
        if len(self._keys) == 1:
            return [self._call_for(ready[0], reading, frames)]
        return self._one_by_one(ready, reading, frames)

    def _one_by_one(
        self, ready: Sequence[str], reading: Session, frames: Mapping[dg.AssetKey, Frames]
    ) -> list[Given]:
        calls: list[Given] = []
        first: Exception | None = None
        for key in ready:
            try:
                calls.append(self._call_for(key, reading, frames))
            except (dg.RetryRequested, TimedOut):
                raise
            except Exception as error:  # noqa: BLE001 -- a person's code may raise anything
                first = first or error
                self._failed[key] = self._words(error)
        if first is not None and not calls:
            raise first  # nothing is sound: Dagster shows where it was raised
        return calls

    def _call_for(self, key: str, reading: Session, frames: Mapping[dg.AssetKey, Frames]) -> Given:
        given = self._call(key or None, reading, [key])
        for asset, rows in given.rows.items():
            frames[asset].add(key, rows)
        for asset, metadata in given.metadata.items():
            self._said.setdefault(asset, {})[key] = metadata
        return given

    def _call(self, partition: str | None, reading: Session, keys: Sequence[str]) -> Given:
        rows = arguments(reading, self._node, self._step.parameters, keys, self._upstreams)
        return call(self._step, self._context, partition, rows)

    def _passage(self, frames: Frames) -> Passage | None:
        """What came of an asset; None where its function wrote it by itself."""
        node = frames.node
        sound = [key for key in self._keys if key not in self._failed]
        if not sound:
            return Passage(None, self._failed, [])
        if not frames.given:
            return None if not self._failed else Passage(None, self._failed, [])
        silent = set() if frames.by_expression else set(sound) - frames.given
        failed = {
            **self._failed,
            **dict.fromkeys(silent, f"{node.function} gave no rows and no columns"),
        }
        sound = [key for key in sound if key not in silent]
        if not sound:
            return Passage(None, failed, [])
        metadata = commit_metadata(node, self._context.run.run_id)
        table = self._bench.lake.table(node.key)
        try:
            with self._bench.open(timezone=self._timezone) as (session, scratch):
                passage = publish_frames(
                    session, scratch, frames, table, sound, self._upstreams, metadata
                )
        except PermanentError as error:
            return Passage(None, {**failed, **dict.fromkeys(sound, self._words(error))}, [])
        said = self._said.get(asset_key(node.key), {})
        return replace(passage, failed={**failed, **passage.failed}, said=said)

    def _words(self, error: Exception) -> str:
        """A person's error, and the line of theirs that it came from."""
        if self._node.discreet:
            return str(discreet_error(self._node, error))
        if isinstance(error, PlatformError):
            return str(error)
        if isinstance(error, dg.Failure):
            return error.description or "the function raised a Failure"
        place = own_place(error, self._node.location.file.parent)
        return f"{error_words(error)} ({place})" if place else error_words(error)
