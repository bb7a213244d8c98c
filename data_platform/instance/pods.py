"""What the pod of a run, or of a step, is given: CPU and memory, as Dagster's tag for Kubernetes.

Called by `asset_specs` for steps and by `coordinator` for runs. Read by `K8sRunLauncher` and by
executors of dagster-k8s; elsewhere nothing reads it.
"""

from collections.abc import Iterable
from typing import Any

from data_platform.spec.limits import Amounts, Resources, amount

KUBERNETES_TAG = "dagster-k8s/config"


def container_config(wanted: Iterable[Resources]) -> dict[str, Any]:
    """The most that any of them asks for, as `dagster-k8s/config` has it."""
    all_wanted = list(wanted)
    resources = {
        "requests": _most([one.requests for one in all_wanted]),
        "limits": _most([one.limits for one in all_wanted]),
    }
    return {
        "container_config": {
            "resources": {name: amounts for name, amounts in resources.items() if amounts}
        }
    }


def _most(amounts: list[Amounts]) -> dict[str, str]:
    found = {
        name: [value for one in amounts if (value := getattr(one, name)) is not None]
        for name in ("cpu", "memory")
    }
    return {name: max(values, key=amount) for name, values in found.items() if values}
