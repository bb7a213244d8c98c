"""What the pod of a run, or of a step, is given: CPU and memory, as Dagster's tag for Kubernetes.

Called by `asset_specs` for steps and by `coordinator` for runs. Read by `pod_launcher` and by
executors of dagster-k8s; elsewhere nothing reads it.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from data_platform.spec.limits import Amounts, Resources, amount

KUBERNETES_TAG = "dagster-k8s/config"
ISOLATED_TAG = "data_platform/isolated"
"""Of a run whose steps are to have a pod each."""


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


def fitting(
    usual: Mapping[str, Mapping[str, str]], own: Mapping[str, Mapping[str, str]]
) -> dict[str, dict[str, str]]:
    """What a pod asks for and is held to: its own, and of the rest what is usual.

    Where only one of the two is its own, the usual other one gives way: the cluster refuses a pod
    that asks for more than its limit.

    Args:
        usual: `requests` and `limits`, each by name.
        own: the same of this pod.
    """
    made = {part: {**usual.get(part, {}), **own.get(part, {})} for part in ("requests", "limits")}
    for name in made["requests"].keys() & made["limits"].keys():
        asked, most = made["requests"][name], made["limits"][name]
        if amount(asked) > amount(most):
            part = "requests" if name in own.get("limits", {}) else "limits"
            made[part][name] = most if part == "requests" else asked
    return {part: amounts for part, amounts in made.items() if amounts}


def _most(amounts: list[Amounts]) -> dict[str, str]:
    found = {
        name: [value for one in amounts if (value := getattr(one, name)) is not None]
        for name in ("cpu", "memory")
    }
    return {name: max(values, key=amount) for name, values in found.items() if values}
