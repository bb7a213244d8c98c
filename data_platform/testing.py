"""For tests of one's own pipelines: their mistakes, whether Dagster loads them, what they make.

Called by tests in projects that depend on this package; `data-platform init` brings some along. A
pipeline runs as it always does, but over a lake and a Dagster instance of the test's own, and
nothing is loaded into destinations unless the test selects them. Must not be imported by anything
else in the package.
"""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg

from data_platform.checking import check
from data_platform.definitions import build_definitions, definitions_of
from data_platform.loading import Loaded, load
from data_platform.observability.querying import ask
from data_platform.plan.keys import Key
from data_platform.plan.nodes import DestinationNode
from data_platform.run_reports import AssetReport, RunReport
from data_platform.running import Request, run_pipeline
from data_platform.settings import environment, environment_with, load_settings


@dataclass(frozen=True)
class Materialized:
    """What a run made, in a folder of its own.

    Attributes:
        report: what it did to each asset: rows in and out, held back, checks.
    """

    report: RunReport
    _loaded: Loaded

    @property
    def failed(self) -> dict[str, str]:
        """Why assets were not published, by `layer/pipeline/name`; empty where all of them were."""
        return {
            str(asset.key): asset.message or "not run: something above it failed"
            for asset in self.report.assets
            if asset.state != "success"
        }

    def query(self, sql: str) -> list[dict[str, Any]]:
        """The rows of a SELECT over what was made; tables are named as in `data-platform query`.

        Raises:
            PermanentError: it isn't allowed, names what there isn't, or fails.
        """
        answer = ask(sql, self._loaded.plan, self._loaded.workbench(), None)
        return [dict(zip(answer.columns, row, strict=True)) for row in answer.rows]


def problems(path: Path | None = None) -> list[str]:
    """The mistakes that `data-platform check` finds, warnings included.

    Args:
        path: a pipelines folder, a pipeline's folder or a file; None means all pipelines.
    """
    return [str(problem) for problem in check(load_settings(), environment(), path).problems]


def validate_definitions() -> None:
    """Build and resolve everything that Dagster loads.

    Raises:
        dagster.DagsterError: it can't be loaded.
    """
    with _without_beta_warnings():
        dg.Definitions.validate_loadable(build_definitions(load_settings(), environment()))


def materialize(
    pipeline: str,
    folder: Path,
    *,
    partition: str | None = None,
    select: Sequence[str] = (),
    settings: Sequence[str] = (),
    environ: Mapping[str, str] | None = None,
    now: datetime | None = None,
) -> Materialized:
    """Run a pipeline in a folder of its own.

    Args:
        pipeline: its name.
        folder: for the lake and all other state; twice the same one continues what is in it.
        partition: its key; None means the newest that is due, where there are partitions.
        select: only these assets, such as `staging/orders`; empty means all but destinations.
        settings: values of parameters, as `data-platform run --set` takes them.
        environ: what `${VAR}` in the pipelines refers to, besides the process's own environment.
        now: aware; decides which partitions are due. None means the present moment.

    Raises:
        PlatformError: there is no such pipeline, asset, partition or parameter, or it has mistakes.
    """
    now = now or datetime.now(UTC)
    folder = folder.absolute()
    with environment_with({**(environ or {}), "DATA_PLATFORM_DATA_DIR": str(folder)}):
        loaded = _with_lake(load(load_settings(), dict(environment())), folder / "lake")
        nodes = loaded.pipeline(pipeline).nodes
        chosen = select or [str(n.key) for n in nodes if not isinstance(n, DestinationNode)]
        request = Request(pipeline, partition=partition, select=chosen, settings=settings)
        with _without_beta_warnings(), dg.DagsterInstance.ephemeral() as instance:
            definitions = definitions_of(loaded, now)
            report = run_pipeline(definitions, loaded, instance, request, _Silent(), now)
    return Materialized(report, loaded)


@contextmanager
def _without_beta_warnings() -> Iterator[None]:
    """Pytest shows every warning anew; about Dagster's own features nobody can do anything."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=dg.BetaWarning)
        yield


def _with_lake(loaded: Loaded, root: Path) -> Loaded:
    """The same over another lake, whatever platform.yaml says."""
    platform = loaded.workspace.platform
    lake = platform.lake.model_copy(update={"root": str(root).replace("${", "$${")})
    workspace = replace(loaded.workspace, platform=platform.model_copy(update={"lake": lake}))
    return replace(loaded, workspace=workspace)


class _Silent:
    """Shows nothing of a run."""

    def started(self, key: Key, partitions: int) -> None:
        """A step has begun."""

    def finished(self, report: AssetReport) -> None:
        """A step has ended."""
