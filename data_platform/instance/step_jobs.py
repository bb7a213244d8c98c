"""Each step of a run in a pod of its own, with what its asset asks for.

Called by `step_pods` in the process of such a run. It is Dagster's executor for Kubernetes; what a
pod gets of CPU and memory is put together as that of a run is.
"""

import dagster as dg
from dagster._core.execution.retries import RetryMode
from dagster._core.executor.base import Executor
from dagster._core.executor.step_delegating import StepDelegatingExecutor, StepHandlerContext
from dagster_k8s import K8sRunLauncher
from dagster_k8s.container_context import K8sContainerContext
from dagster_k8s.executor import K8sStepHandler
from dagster_k8s.job import get_user_defined_k8s_config
from kubernetes.config import ConfigException
from typing_extensions import override

from data_platform.errors import PermanentError
from data_platform.instance.pod_amounts import amounts_of, with_amounts


class StepJobs(K8sStepHandler):
    """Makes the Jobs of steps."""

    @override
    def _get_container_context(
        self, step_handler_context: StepHandlerContext
    ) -> K8sContainerContext:
        """What the pod of a step is given."""
        context = super()._get_container_context(step_handler_context)
        launcher = step_handler_context.instance.run_launcher
        if not isinstance(launcher, K8sRunLauncher):
            return context
        tags = step_handler_context.step_tags[self._get_step_key(step_handler_context)]
        own = get_user_defined_k8s_config(tags).container_config.get("resources", {})
        run = step_handler_context.dagster_run
        usual = K8sContainerContext.create_for_run(run, launcher, include_run_tags=False)
        return with_amounts(context, own, amounts_of(usual))


def executor_of_pods(instance: dg.DagsterInstance, retries: RetryMode) -> Executor:
    """An executor that makes a pod for each step.

    Args:
        instance: whose runs are pods.
        retries: as the run's configuration has them.

    Raises:
        PermanentError: this process may not speak to the cluster.
    """
    try:
        launcher = instance.run_launcher
        if not isinstance(launcher, K8sRunLauncher):
            raise TypeError(f"{type(launcher).__name__} launches no pods")
        jobs = StepJobs(
            image=None,
            container_context=K8sContainerContext(),
            load_incluster_config=launcher.load_incluster_config,
            kubeconfig_file=launcher.kubeconfig_file,
            enable_owner_references=True,  # the pods of steps go with the pod of their run
        )
    except ConfigException as error:
        raise PermanentError(
            "the run is to have a pod for each step, as one of its assets is `isolated`, but its "
            "own pod may not start any: set `runs.stepPods: true` in the chart's values"
        ) from error
    return StepDelegatingExecutor(jobs, retries=retries, should_verify_step=True)
