"""The sensor that automates: Dagster's own by name and in its UI, with ticks of ours.

Called by `definitions`. It runs in the code server, so that conditions may be any class, and it
judges only what may have changed. People stop and start it as ever.
"""

import gc
from collections.abc import Sequence
from typing import Any

import dagster as dg
from dagster._core.definitions.metadata import RawMetadataMapping
from dagster._core.definitions.sensor_definition import wrap_sensor_evaluation

from data_platform.automation.evaluation.ticking import Ticking
from data_platform.instance.evaluations import WrittenEvaluation
from data_platform.instance.run_limits import RunLimits

NAME = "default_automation_condition_sensor"
"""Dagster's name, so that Dagster makes no second one, and one that was stopped stays so."""


SECONDS = 10
"""Between two ticks: one without news costs little, and what waits for its turn goes on soon."""


class AutomationSensor(dg.AutomationConditionSensorDefinition):
    """Starts what its condition asks for.

    Args:
        metadata: given by Dagster when it makes a copy.
    """

    def __init__(self, metadata: RawMetadataMapping | None = None) -> None:
        super().__init__(
            NAME,
            target=dg.AssetSelection.all(),
            default_status=dg.DefaultSensorStatus.RUNNING,
            description="Starts assets whose condition asks for it.",
            use_user_code_server=True,
            minimum_interval_seconds=SECONDS,
            metadata=metadata,
        )
        self._ticking: Ticking | None = None
        # Dagster's own evaluation takes 500 assets at most.
        self._raw_fn = self._tick
        self._evaluation_fn = wrap_sensor_evaluation(NAME, self._tick)

    def with_attributes(
        self,
        *,
        jobs: Sequence[Any] | None = None,  # noqa: ARG002 -- Dagster's signature
        metadata: RawMetadataMapping | None = None,
    ) -> "AutomationSensor":
        """A copy with other metadata."""
        return AutomationSensor(self._metadata if metadata is None else metadata)

    def resolve_run_requests(
        self,
        run_requests: Sequence[dg.RunRequest],
        context: dg.SensorEvaluationContext,
        asset_selection: dg.AssetSelection | None,  # noqa: ARG002 -- Dagster's signature
        dynamic_partitions_requests: Sequence[Any],  # noqa: ARG002
    ) -> Sequence[dg.RunRequest]:
        """The requests with their job, checks and limits.

        Dagster's looks through the whole graph for each, to see whether an asset is one of ours.
        """
        repository = _repository(context)
        limits = RunLimits.of(repository.metadata or {})
        return [_with_job(request, repository, limits) for request in run_requests]

    def _tick(self, context: dg.SensorEvaluationContext) -> dg.SensorResult:
        if self._ticking is None:
            self._ticking = Ticking(_repository(context).asset_graph)
            # The definitions stay: nobody has to look through them for garbage again.
            gc.collect()
            gc.freeze()
        found = self._ticking.tick(
            context.instance,
            context.cursor,
            tags=self.run_tags,
            backfills=self.emit_backfills,
            logger=context.log,
        )
        context.log.info("looked at %d assets", found.looked_at)
        return dg.SensorResult(
            run_requests=found.requests,
            cursor=found.cursor,
            automation_condition_evaluations=[
                WrittenEvaluation.of(evaluation) for evaluation in found.evaluations
            ],
        )


def _repository(context: dg.SensorEvaluationContext) -> dg.RepositoryDefinition:
    if context.repository_def is None:
        raise dg.DagsterInvariantViolationError("automation needs the definitions that it is in")
    return context.repository_def


def _with_job(
    request: dg.RunRequest, repository: dg.RepositoryDefinition, limits: RunLimits
) -> dg.RunRequest:
    keys = request.asset_selection or []
    job = repository.get_implicit_job_def_for_assets(keys)
    checks = request.asset_check_keys
    if checks is None:
        checks = [check for key in keys for check in repository.asset_graph.get(key).check_keys]
    # With these from the beginning, the queue needn't write the run again.
    tags = {**limits.tags(["/".join(key.path) for key in keys]), **request.tags}
    return request.with_replaced_attrs(
        job_name=job.name if job else None, asset_check_keys=checks, tags=tags
    )
