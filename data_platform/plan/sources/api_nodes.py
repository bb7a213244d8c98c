"""A source of type api, resolved: its request is held to what there is.

Called by `plan.sources.nodes`.
"""

from collections.abc import Iterator
from typing import Any, cast

from data_platform.errors import Location
from data_platform.plan.declared import Declared, refused
from data_platform.plan.partitions import Partitions
from data_platform.plan.sources.kinds import Api
from data_platform.plan.sources.request_parameters import (
    PARTITION_PARAMETERS,
    WATERMARK,
    parameters_within,
    texts_of,
    whole_parameter,
    wrong_parameter,
)
from data_platform.spec.http import OffsetPagination, PagePagination
from data_platform.spec.sources import ApiSource


def api_of(asset: Declared[Any], spec: ApiSource, partitions: Partitions | None) -> Api:
    """Records of an HTTP API.

    Raises:
        ConfigurationError: what is wrong with its request.
    """
    if spec.connection is not None:
        asset.require_connection(spec.connection, "api")
    if spec.url is not None and not spec.url.startswith(("http://", "https://")):
        raise refused(asset.at("url"), "the url must begin with http:// or https://")
    if spec.body is not None and spec.method == "GET":
        raise refused(asset.at("body"), "a GET has no body: say `method: POST`, or use `params`")
    _require_known(asset, spec, partitions)
    _require_free(asset, spec)
    return Api(
        spec.url,
        spec.connection,
        spec.path,
        spec.method,
        spec.params,
        spec.headers,
        spec.body,
        spec.data_path,
        spec.request_timeout.total_seconds(),
        spec.auth,
        spec.pagination,
        spec.retry,
        spec.rate_limit,
    )


def _require_known(asset: Declared[Any], spec: ApiSource, partitions: Partitions | None) -> None:
    """Each parameter that is named has a value, and a partition asks for its own."""
    known = {*asset.spec.parameters}
    known |= set(PARTITION_PARAMETERS) if partitions is not None else set()
    known |= {WATERMARK} if spec.incremental is not None else set()
    named = set[str]()
    for name, location in _named(asset, spec):
        if wrong := wrong_parameter(name, known):
            raise refused(location, wrong)
        named.add(name)
    asset.parameters.use(named)
    if partitions is not None and not named & set(PARTITION_PARAMETERS):
        raise refused(
            asset.at("type"),
            "each partition would ask for the same: name :partition_start, :partition_end or "
            ":partition_key in the request, or say `partitions: none`",
        )


def _named(asset: Declared[Any], spec: ApiSource) -> Iterator[tuple[str, Location]]:
    """The parameters that a request names, each with its place."""
    for key in ("params", "headers", "body"):
        for way, text in texts_of(getattr(spec, key), key):
            whole = whole_parameter(text)
            for name in [whole] if whole is not None else parameters_within(text):
                yield name, asset.at(*way)
    for key in ("url", "path"):
        for name in parameters_within(getattr(spec, key) or ""):
            if name in PARTITION_PARAMETERS:
                yield name, asset.at(key)


def _require_free(asset: Declared[Any], spec: ApiSource) -> None:
    """What the pagination sets isn't set by hand."""
    pagination = spec.pagination
    if isinstance(pagination, PagePagination):
        taken = {pagination.page_param, pagination.size_param}
    elif isinstance(pagination, OffsetPagination):
        taken = {pagination.offset_param, pagination.limit_param}
    else:
        return
    body: Any = spec.body
    keys = cast("dict[str, Any]", body) if isinstance(body, dict) else spec.params
    for name in sorted(taken & set(keys)):
        place = asset.at("body" if isinstance(body, dict) else "params", name)
        raise refused(place, f"{name} is set by the pagination: leave it out")
