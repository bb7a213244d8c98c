"""A source of type api, resolved: its request is held to what there is.

Called by `plan.sources.nodes`.
"""

from collections.abc import Collection, Iterator
from typing import Any, cast

from data_platform.errors import Location
from data_platform.plan.declared import Declared, refused
from data_platform.plan.partitions import Partitions
from data_platform.plan.sources.kinds import Api
from data_platform.plan.sources.request_parameters import (
    WATERMARK,
    own_parameters,
    parameters_within,
    texts_of,
    whole_parameter,
    with_colons,
    wrong_parameter,
)
from data_platform.spec.http import OffsetPagination, PagePagination
from data_platform.spec.sources import ApiSource

_KEY, _TIMES = "partition_key", ("partition_start", "partition_end")


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
    known |= {*partitions.binds} if partitions is not None else set()
    known |= {WATERMARK} if spec.incremental is not None else set()
    named = set[str]()
    for name, location in _named(asset, spec, own_parameters(partitions)):
        if wrong := wrong_parameter(name, known, partitions):
            raise refused(location, wrong)
        named.add(name)
    asset.parameters.use(named)
    if partitions is not None and (missing := _unasked(partitions, named)):
        raise refused(
            asset.at("type"),
            f"each partition would ask for the same: name {missing} in the request, "
            "or say `partitions: none`",
        )


def _unasked(partitions: Partitions, named: set[str]) -> str | None:
    """By what partitions would have to be told apart, in words."""
    if _KEY in named:
        return None
    if partitions.time is not None and named.isdisjoint(_TIMES):
        return f"{', '.join(f':{name}' for name in _TIMES)} or :{_KEY}"
    unasked = [one.name for one in partitions.by if one.name not in named]
    if not unasked and partitions.dynamic is None:
        return None
    return " or ".join(f":{name}" for name in [*unasked, _KEY])


def _named(
    asset: Declared[Any], spec: ApiSource, own: Collection[str]
) -> Iterator[tuple[str, Location]]:
    """The parameters that a request names, each with its place."""
    for key in ("params", "headers", "body"):
        for way, text in texts_of(getattr(spec, key), key):
            whole = whole_parameter(text)
            for name in [whole] if whole is not None else parameters_within(text, own):
                yield name, asset.at(*way)
    for key in ("url", "path"):
        for name in parameters_within(with_colons(getattr(spec, key) or "", own), own):
            if name != WATERMARK:
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
