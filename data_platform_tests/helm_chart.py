"""The chart, rendered by Helm's own engine, and its manifests as tests look at them.

`render` gives all objects that an installation would make; `broken` what Helm says where it
refuses. The engine tells the templates that the cluster is Kubernetes 1.36.
"""

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import helm_python
import yaml

ROOT = Path(__file__).parents[1]
CHART = ROOT / "helm" / "data-platform"
ENVIRONMENTS = ROOT / "helm" / "environments"
if str(ROOT) not in sys.path:  # where the package `helm` is, of the values' models
    sys.path.insert(0, str(ROOT))

RELEASE, NAMESPACE = "demo", "prod"
WITH_PODS = ("Deployment", "Job")
COMPONENT = "app.kubernetes.io/component"
LOCATION = "data-platform/location"

Values = Mapping[str, Any]


@dataclass(frozen=True)
class Manifest:
    """An object as it would be sent to Kubernetes.

    Attributes:
        template: that it is of.
    """

    template: str
    content: dict[str, Any]

    @property
    def kind(self) -> str:
        return self.content["kind"]

    @property
    def name(self) -> str:
        return self.content["metadata"]["name"]

    @property
    def labels(self) -> dict[str, str]:
        return self.content["metadata"].get("labels", {})

    @property
    def annotations(self) -> dict[str, str]:
        return self.content["metadata"].get("annotations", {})

    @property
    def spec(self) -> dict[str, Any]:
        return self.content["spec"]

    @property
    def pod_labels(self) -> dict[str, str]:
        return self.spec["template"]["metadata"]["labels"]

    @property
    def pod_annotations(self) -> dict[str, str]:
        return self.spec["template"]["metadata"].get("annotations", {})

    @property
    def pod(self) -> dict[str, Any]:
        """The specification of its pods."""
        return self.spec["template"]["spec"]

    @property
    def containers(self) -> list[dict[str, Any]]:
        return [*self.pod.get("initContainers", []), *self.pod["containers"]]

    @property
    def container(self) -> dict[str, Any]:
        (only,) = self.pod["containers"]
        return only

    def variables(self) -> dict[str, Any]:
        """Its environment: values, or where they come from."""
        return {
            one["name"]: one.get("value", one.get("valueFrom")) for one in self.container["env"]
        }

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


@dataclass(frozen=True)
class Rendered:
    """All that a set of values gives."""

    manifests: tuple[Manifest, ...]
    notes: str

    def __iter__(self) -> Iterator[Manifest]:
        return iter(self.manifests)

    def of(self, *kinds: str) -> list[Manifest]:
        return [one for one in self.manifests if one.kind in kinds]

    def get(self, kind: str, name: str) -> Manifest:
        found = [one for one in self.of(kind) if one.name == name]
        assert len(found) == 1, f"{kind} {name} is not one of {[str(one) for one in self]}"
        return found[0]

    def component(self, kind: str, component: str) -> list[Manifest]:
        return [one for one in self.of(kind) if one.labels.get(COMPONENT) == component]

    def with_pods(self) -> list[Manifest]:
        return self.of(*WITH_PODS)

    def instance_files(self) -> dict[str, Any]:
        """`dagster.yaml` and `workspace.yaml`, read."""
        files = self.get("ConfigMap", f"{RELEASE}-instance").content["data"]
        return {name: yaml.safe_load(text) for name, text in files.items()}


class _Loader(yaml.CSafeLoader):
    """YAML in which no key stands twice: the last would win, and nobody would know."""


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[Any, Any]:
    keys = [loader.construct_object(key, deep=True) for key, _ in node.value]
    twice = {key for key in keys if keys.count(key) > 1}
    assert not twice, f"{sorted(twice)} stand twice{node.start_mark}"
    return loader.construct_mapping(node, deep=True)


_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


@cache
def chart() -> helm_python.Chart:
    return helm_python.Chart.load(CHART)


def render(
    values: Values | None = None,
    *,
    name: str = RELEASE,
    namespace: str = NAMESPACE,
    upgrade: bool = False,
) -> Rendered:
    """What an installation with these values would make."""
    texts = chart().render(
        dict(values or {}),
        name=name,
        namespace=namespace,
        is_install=not upgrade,
        is_upgrade=upgrade,
    )
    manifests = tuple(
        Manifest(path.removeprefix("data-platform/templates/"), document)
        for path, text in sorted(texts.items())
        if path.endswith(".yaml")
        for document in yaml.load_all(text, _Loader)
        if document is not None
    )
    notes = texts.get("data-platform/templates/NOTES.txt", "")
    return Rendered(manifests, notes)


def broken(values: Values, **more: Any) -> str:
    """What Helm says about values that it refuses."""
    try:
        render(values, **more)
    except helm_python.HelmError as error:
        return str(error)
    raise AssertionError(f"Helm takes {values}")


def environment(name: str) -> dict[str, Any]:
    """The values of dev, staging or production."""
    return yaml.safe_load((ENVIRONMENTS / f"{name}.yaml").read_text())


def problems_of_lint(values: Values | None = None) -> list[str]:
    """What `helm lint` finds, warnings too."""
    report = helm_python.lint(CHART, dict(values or {}), strict=True)
    return [one["error"] for one in report["messages"] if one["severity"] > 1] + report["errors"]
