"""The chart as Helm's own engine renders it, for tests of what is deployed."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import helm_python
import yaml

CHART = Path(__file__).parents[2] / "helm" / "data-platform"
RELEASE, NAMESPACE = "demo", "prod"


class Rendered:
    """All manifests of a release.

    Args:
        values: what differs from the chart's.
    """

    def __init__(self, values: Mapping[str, Any]) -> None:
        with helm_python.Chart.load(str(CHART)) as chart:
            texts = chart.render(dict(values), name=RELEASE, namespace=NAMESPACE)
        self.manifests: list[dict[str, Any]] = [
            document
            for name, text in texts.items()
            if name.endswith(".yaml")
            for document in yaml.safe_load_all(text)
            if document
        ]

    def one(self, kind: str, name: str) -> dict[str, Any]:
        """The manifest of a kind and a name, without the release before it."""
        wanted = (kind, f"{RELEASE}-{name}")
        [found] = [m for m in self.manifests if (m["kind"], m["metadata"]["name"]) == wanted]
        return found

    def instance_files(self) -> dict[str, str]:
        """dagster.yaml and workspace.yaml."""
        return self.one("ConfigMap", "instance")["data"]

    def pod(self, kind: str, name: str) -> dict[str, Any]:
        """The spec of the pods of a workload."""
        return self.one(kind, name)["spec"]["template"]["spec"]
