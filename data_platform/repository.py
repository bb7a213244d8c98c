"""The definitions as Dagster holds them, with a short way to the job of a run.

Called by `definitions`. Each run is a part of the job of all assets. Dagster makes that part anew
for the job, for its plan and in the run's process, and looks through all assets each time, though
only those of the run and those that they read count.
"""

from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from functools import lru_cache

import dagster as dg
from dagster import JobDefinition
from dagster._core.definitions.asset_key import AssetOrCheckKey
from dagster._core.definitions.assets.graph.asset_graph import AssetGraph
from dagster._core.definitions.assets.job.asset_job import (
    JobScopedAssetGraph,
    build_asset_job,
    get_asset_graph_for_job,
)
from dagster._core.selector.subset_selector import AssetSelectionData
from dagster._utils.cached_method import cached_method
from dagster_shared.record import as_dict
from typing_extensions import override

_KEPT = 256
"""Parts of jobs that are kept; one of ten assets takes 140 kB."""

Assets = AbstractSet[dg.AssetKey]
Checks = AbstractSet[dg.AssetCheckKey]


class PlatformDefinitions(dg.Definitions):
    """Definitions whose repository is the platform's."""

    @classmethod
    def of(cls, definitions: dg.Definitions) -> "PlatformDefinitions":
        """The same definitions."""
        return cls(**as_dict(definitions))

    @override
    @cached_method
    def get_repository_def(self) -> "PlatformRepository":
        return PlatformRepository(super().get_repository_def())


class PlatformRepository(dg.RepositoryDefinition):
    """A repository that makes the part of a job from what is near, and keeps the last ones.

    Args:
        repository: Dagster's.
    """

    def __init__(self, repository: dg.RepositoryDefinition) -> None:
        super().__init__(
            repository.name,
            repository_data=repository._repository_data,  # noqa: SLF001 -- of the same class
            description=repository.description,
            metadata=repository.metadata,
            repository_load_data=repository.repository_load_data,
        )
        self._part = lru_cache(_KEPT)(self._made)

    @override
    def get_maybe_subset_job_def(
        self,
        job_name: str,
        op_selection: Iterable[str] | None = None,
        asset_selection: Assets | None = None,
        asset_check_selection: Checks | None = None,
    ) -> JobDefinition:
        """A job, or the part of it that was selected."""
        selected = asset_selection or asset_check_selection
        if op_selection or not selected:
            return super().get_maybe_subset_job_def(
                job_name, op_selection, asset_selection, asset_check_selection
            )
        checks = None if asset_check_selection is None else frozenset(asset_check_selection)
        return self._part(job_name, frozenset(asset_selection or ()), checks)

    def _made(self, job_name: str, assets: Assets, checks: Checks | None) -> JobDefinition:
        job = self.get_job(job_name)
        graph = job.asset_layer.asset_graph.source_asset_graph
        # The name of a job's snapshot tells sets from frozen ones.
        selected = {*assets}, None if checks is None else {*checks}
        if all(graph.has(key) for key in (*assets, *(checks or ()))):
            return _part_of(job, graph, *selected)
        # Dagster tells which aren't there.
        return job.get_subset(asset_selection=selected[0], asset_check_selection=selected[1])


def _part_of(
    job: JobDefinition, graph: AssetGraph, assets: Assets, checks: Checks | None
) -> JobDefinition:
    """What `JobDefinition.get_subset` gives, from the assets that count."""
    selection = dg.AssetSelection.assets(*assets)
    if checks is not None:
        selection = selection.without_checks() | dg.AssetSelection.checks(*checks)
    scoped = get_asset_graph_for_job(
        _near(graph, assets, checks), selection, allow_different_partitions_defs=True
    )
    return build_asset_job(
        name=job.name,
        asset_graph=JobScopedAssetGraph(
            scoped._asset_nodes_by_key,  # noqa: SLF001 -- it is to know what it was cut out of
            scoped._assets_defs_by_check_key,  # noqa: SLF001
            graph,
        ),
        executor_def=job.executor_def,
        resource_defs=job.resource_defs,
        description=job.description,
        tags=job.tags,
        run_tags=job._run_tags,  # noqa: SLF001 -- as Dagster gives them on
        config=job.config_mapping or job.partitioned_config,
        allow_different_partitions_defs=True,
        automation_condition=job.automation_condition,
        _asset_selection_data=AssetSelectionData(
            asset_selection=assets, asset_check_selection=checks, parent_job_def=job
        ),
    )


def _near(graph: AssetGraph, assets: Assets, checks: Checks | None) -> AssetGraph:
    """The graph of what is selected, and of what that reads."""
    chosen = graph.assets_defs_for_keys(_with_checks(graph, assets) | {*(checks or ())})
    named: set[dg.AssetKey] = set()
    for each in chosen:
        named |= each.keys
        named |= {*each.node_keys_by_input_name.values(), *each.node_keys_by_output_name.values()}
    return AssetGraph.from_assets(
        {*chosen, *graph.assets_defs_for_keys(_with_checks(graph, named))}
    )


def _with_checks(graph: AssetGraph, assets: Assets) -> set[AssetOrCheckKey]:
    return {*assets, *(check for key in assets for check in graph.get(key).check_keys)}
