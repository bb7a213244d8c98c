"""How the steps of a run are executed: in its own process, or each in a pod of its own.

The executor of all jobs, given to Dagster by `definitions`. Pods are for runs that ask for them
(`resources: {isolated: true}` of an asset, which `coordinator` writes as a tag), where runs are
pods themselves; anywhere else such a run is like all others.
"""

from collections.abc import Iterator
from typing import Any

import dagster as dg
from dagster._core.definitions.executor_definition import IN_PROC_CONFIG
from dagster._core.events import DagsterEvent
from dagster._core.execution.context.system import PlanOrchestrationContext
from dagster._core.execution.plan.plan import ExecutionPlan
from dagster._core.executor.base import Executor
from dagster._core.executor.in_process import InProcessExecutor
from dagster._core.executor.init import InitExecutorContext
from typing_extensions import override

from data_platform.instance.pods import ISOLATED_TAG

_LAUNCHERS = ("data_platform.instance.pod_launcher", "dagster_k8s")


class StepsInPods(InProcessExecutor):
    """Dagster's executor of one process, which gives way where a run asks for pods of its steps.

    Args:
        usual: as Dagster makes it of the run's configuration.
        context: what it was made of.
    """

    def __init__(self, usual: InProcessExecutor, context: InitExecutorContext) -> None:
        super().__init__(usual.retries, usual.step_dependency_config)
        self._context = context

    @override
    def execute(
        self, plan_context: PlanOrchestrationContext, execution_plan: ExecutionPlan
    ) -> Iterator[DagsterEvent]:
        wanted = plan_context.dagster_run.tags.get(ISOLATED_TAG) == "true"
        if wanted and launches_pods(plan_context.instance):
            yield from self._of_pods().execute(plan_context, execution_plan)
        else:
            yield from super().execute(plan_context, execution_plan)

    def _of_pods(self) -> Executor:
        # Imported here: it is of an extra that only images need.
        from data_platform.instance.step_jobs import executor_of_pods  # noqa: PLC0415

        return executor_of_pods(self._context.instance, self.retries)


@dg.executor(name="in_process", config_schema=IN_PROC_CONFIG)
def platform_executor(context: InitExecutorContext) -> Executor:
    """All steps in the run's process, or each in a pod. Called by Dagster for each run."""
    make: Any = dg.in_process_executor.executor_creation_fn
    return StepsInPods(make(context), context)


def launches_pods(instance: dg.DagsterInstance) -> bool:
    """Whether runs of the instance are pods, by its configuration: a launcher opens the cluster."""
    if not instance.is_persistent:
        return False
    named = instance.get_ref().run_launcher_data
    return named is not None and named.module_name.startswith(_LAUNCHERS)
