"""What a code location says of its runs, as it stands in the metadata of its definitions.

Written by `automation.pools`, read by `coordinator` when a run is put into the queue: pools and
their slots, how many runs of a pipeline may go on, and priority and resources of its assets.
"""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from dagster._core.storage.tags import MAX_RETRIES_TAG, PRIORITY_TAG

from data_platform.instance.pods import ISOLATED_TAG, KUBERNETES_TAG, container_config
from data_platform.spec.limits import Resources

METADATA = "data_platform/limits"
ACTIVE_RUNS_TAG = "data_platform/max_active_runs."
"""Of a run, with a pipeline's name behind it: how many runs with this tag may go on at once."""


@dataclass(frozen=True)
class RunLimits:
    """Limits of a code location.

    Attributes:
        owner: who sets the pools: the lake's root.
        pools: slots by name.
        active_runs: by pipeline.
        priorities: by asset, those that aren't 0.
        resources: by asset, as a person wrote them.
        retries: by asset, tries after the first: so often a run whose process died is made anew.
    """

    owner: str = ""
    pools: Mapping[str, int] = field(default_factory=dict[str, int])
    active_runs: Mapping[str, int] = field(default_factory=dict[str, int])
    priorities: Mapping[str, int] = field(default_factory=dict[str, int])
    resources: Mapping[str, Mapping[str, Any]] = field(default_factory=dict[str, Mapping[str, Any]])

    retries: Mapping[str, int] = field(default_factory=dict[str, int])

    @classmethod
    def of(cls, metadata: Mapping[str, Any]) -> "RunLimits":
        """As the metadata of definitions has them; none where it doesn't."""
        found = metadata.get(METADATA)
        return cls(**found.value) if found is not None else cls()

    def metadata(self) -> dict[str, Any]:
        """For the metadata of definitions."""
        return {METADATA: asdict(self)}

    def tags(self, keys: Collection[str]) -> dict[str, str]:
        """The tags of a run of assets: `layer/pipeline/name` each."""
        priority = max((self.priorities.get(key, 0) for key in keys), default=0)
        retries = max((self.retries.get(key, 0) for key in keys), default=0)
        wanted = [Resources.model_validate(self.resources[k]) for k in keys if k in self.resources]
        return {
            **active_runs_tags(self.active_runs, (key.split("/")[1] for key in keys if "/" in key)),
            **({PRIORITY_TAG: str(priority)} if priority else {}),
            **({MAX_RETRIES_TAG: str(retries)} if retries else {}),
            **_pod_tags(wanted),
        }


def _pod_tags(wanted: Sequence[Resources]) -> dict[str, str]:
    if any(one.isolated for one in wanted):
        # The run's own pod only looks after those of its steps.
        return {ISOLATED_TAG: "true"}
    return {KUBERNETES_TAG: json.dumps(container_config(wanted))} if wanted else {}


def active_runs_tags(limits: Mapping[str, int], pipelines: Iterable[str]) -> dict[str, str]:
    """The tags by which runs of some pipelines are counted."""
    names = sorted(set(pipelines) & set(limits))
    return {f"{ACTIVE_RUNS_TAG}{name}": str(limits[name]) for name in names}
