"""CPU and memory of a pod, put together as Dagster's Kubernetes configuration has it.

Used by `pod_launcher` for runs and by `step_jobs` for steps. Dagster itself lays one amount over
the other: an asset that asks for more than the usual limit would get a pod that a cluster refuses.
"""

from collections.abc import Mapping

from dagster_k8s.container_context import K8sContainerContext

from data_platform.instance.pods import fitting

Parts = Mapping[str, Mapping[str, str]]


def amounts_of(context: K8sContainerContext) -> Parts:
    """`requests` and `limits` that are usual."""
    return context.run_k8s_config.container_config.get("resources", {})


def with_amounts(
    context: K8sContainerContext, own: Parts, usual: Parts | None = None
) -> K8sContainerContext:
    """The same with what a pod asks for itself.

    Args:
        context: of the pod.
        own: what its assets ask for.
        usual: of all pods; None means the context's.
    """
    made = fitting(amounts_of(context) if usual is None else usual, own)
    config = context.run_k8s_config
    container = {**config.container_config, "resources": made}
    return context._replace(run_k8s_config=config._replace(container_config=container))
