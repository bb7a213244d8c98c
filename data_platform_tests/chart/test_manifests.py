"""All that the chart makes is what Kubernetes takes, in its three newest versions."""

import kubernetes_validate
import pytest
from helm_chart import Rendered, problems_of_lint, render
from kubernetes_validate.utils import all_versions, major_minor

NEWEST = [major_minor(version) for version in all_versions()][-3:]
CASES = {"defaults": {}}


def refused(rendered: Rendered, version: str) -> list[str]:
    """Manifests that aren't as this version of Kubernetes wants them."""
    found = []
    for manifest in rendered:
        try:
            kubernetes_validate.validate(manifest.content, version, strict=True)
        except kubernetes_validate.ValidationError as error:
            found.append(f"{manifest}: {'/'.join(map(str, error.absolute_path))}: {error.message}")
    return found


@pytest.mark.parametrize("version", NEWEST)
@pytest.mark.parametrize("case", CASES)
def test_kubernetes_takes_every_manifest(case: str, version: str) -> None:
    assert refused(render(CASES[case]), version) == []


@pytest.mark.parametrize("case", CASES)
def test_helm_finds_nothing_to_say(case: str) -> None:
    assert problems_of_lint(CASES[case]) == []
