"""What Kubernetes says of objects in its three newest versions, strictly: no key too much."""

import json
from collections.abc import Mapping
from functools import cache
from typing import Any

import kubernetes_validate
from kubernetes_validate import utils

NEWEST = [utils.major_minor(version) for version in utils.all_versions()][-3:]

# The definitions of a version are megabytes of JSON, which the package reads for each object.
utils.schema_contents = cache(utils.schema_contents)


def problem_of(manifest: Mapping[str, Any], version: str) -> str | None:
    """What is wrong with an object, and where; None if nothing is.

    Args:
        manifest: as it would be sent.
        version: such as 1.34.
    """
    return _problem_of(json.dumps(manifest, sort_keys=True), version)


@cache  # most objects are the same in many cases
def _problem_of(manifest: str, version: str) -> str | None:
    try:
        kubernetes_validate.validate(json.loads(manifest), version, strict=True)
    except kubernetes_validate.ValidationError as error:
        return f"{'/'.join(map(str, error.absolute_path))}: {error.message}"
    return None
