"""Hand-written assets in unit tests: their function is called with the rows that are given.

Called by `unit_tests.running` where a test is of such an asset. The function itself is called, as
tests of functions do, not through a run of Dagster's: so it can have no resources and no
configuration, and makes one asset.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

import dagster as dg

from data_platform.beside import error_words, own_place
from data_platform.dataframes import Frames, publish_frames
from data_platform.engine.session import Session
from data_platform.errors import FunctionError, PermanentError, PlatformError
from data_platform.handwritten.calling import arguments
from data_platform.handwritten.written import AssetsFile, WrittenStep
from data_platform.plan.keys import Key
from data_platform.plan.nodes import PythonNode
from data_platform.quality.gate import Passage
from data_platform.storage.snapshots import missing_inputs, snapshots_of
from data_platform.storage.versions import Snapshot
from data_platform.storage.workbench import Workbench


def compute(
    files: Mapping[str, AssetsFile], node: PythonNode, keys: Sequence[str], workbench: Workbench
) -> Passage:
    """Compute partitions of a hand-written asset.

    Args:
        files: what the `assets.py` of each pipeline holds.
        node: the asset.
        keys: its partitions, or `WHOLE` alone.
        workbench: with the lake.

    Raises:
        PermanentError: the function can't be called without Dagster.
        FunctionError: it raised, or gave nothing that can be kept.
    """
    step = _step_of(files[node.key.pipeline], node.key)
    _require_plain(step, node)
    upstreams = snapshots_of(node, workbench.lake)
    failed = missing_inputs(node, keys, upstreams)
    ready = [key for key in keys if key not in failed]
    timezone = node.partitions.timezone if node.partitions else "UTC"
    with workbench.open(timezone=timezone) as (reading, scratch):
        frames = Frames(node, scratch, keys)
        if node.by_range:
            frames.add_range(ready, _call(step, node, reading, ready, upstreams))
        else:
            for key in ready:
                frames.add(key, _call(step, node, reading, [key], upstreams))
        with workbench.open(timezone=timezone) as (session, further):
            table = workbench.lake.table(node.key)
            passage = publish_frames(session, further, frames, table, ready, upstreams, {})
    return replace(passage, failed={**failed, **passage.failed})


def _step_of(file: AssetsFile, key: Key) -> WrittenStep:
    wanted = dg.AssetKey(list(key))
    return next(step for step in file.steps if wanted in step.keys.values())


def _require_plain(step: WrittenStep, node: PythonNode) -> None:
    """Refuse what only a run of Dagster's can call."""
    definition = step.definition
    reasons = {
        "makes several assets": len(step.keys) > 1,
        "needs resources": bool(definition.op.required_resource_keys),
        "takes a configuration": cast("Any", step.definition.op.compute_fn).has_config_arg(),
    }
    found = next((why for why, holds in reasons.items() if holds), None)
    if found is not None:
        raise PermanentError(
            f"{node.function} {found}, which a unit test can't give it: "
            "test it by `data_platform.testing.materialize`"
        )


def _call(
    step: WrittenStep,
    node: PythonNode,
    session: Session,
    keys: Sequence[str],
    upstreams: Mapping[str, Snapshot],
) -> object:
    """What the function gives for some partitions."""
    op = step.definition.op
    given: dict[str, Any] = arguments(session, node, step.parameters, keys, upstreams)
    function = cast("Any", op.compute_fn).decorated_fn
    try:
        rows = function(*_context(step, node, keys), **given)
    except PlatformError:
        raise
    except Exception as error:
        place = own_place(error, node.location.file.parent)
        where = f" ({place})" if place else ""
        raise FunctionError(f"{node.function} raised {error_words(error)}{where}") from error
    return rows.value if isinstance(rows, dg.Output | dg.MaterializeResult) else rows


def _context(
    step: WrittenStep, node: PythonNode, keys: Sequence[str]
) -> list[dg.AssetExecutionContext]:
    """The context, where the function takes one."""
    if not cast("Any", step.definition.op.compute_fn).has_context_arg():
        return []
    if node.partitions is None:
        return [dg.build_asset_context()]
    if len(keys) == 1:
        return [dg.build_asset_context(partition_key=keys[0])]
    return [dg.build_asset_context(partition_key_range=dg.PartitionKeyRange(keys[0], keys[-1]))]
