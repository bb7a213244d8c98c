"""Dagster's partitions and mappings of hand-written assets, in the words of the language.

Called by `handwritten.reading`, and by `handwritten.calling` for keys as a function's file has
them: there the dimension of time may have any name, here it is `Time`.
"""

import re
from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any, cast

import dagster as dg

from data_platform.plan.partitions import TIME
from data_platform.spec.asset import Window
from data_platform.spec.handwritten import UNNAMED

_CRONS = {
    r"0 \* \* \* \*": "hour",
    r"0 0 \* \* \*": "day",
    r"0 0 \* \* [0-6]": "week",
    r"0 0 1 \* \*": "month",
}
_FORMATS = {"hour": "%Y-%m-%d-%H:%M"}
_ALLOWED = (
    "assets have hourly, daily, weekly or monthly partitions without offsets, as "
    "dg.DailyPartitionsDefinition(start_date=...), static or dynamic ones, two dimensions of time "
    "and static ones, or none"
)


def written_partitions(
    definition: dg.PartitionsDefinition[Any] | None,
) -> dict[str, Any] | str:
    """The partitions as YAML would have them.

    Raises:
        ValueError: the language has none of this form.
    """
    match definition:
        case None:
            return "none"
        case dg.TimeWindowPartitionsDefinition():
            return _of_time(definition)
        case dg.StaticPartitionsDefinition():
            return {"by": {UNNAMED: {"values": definition.get_partition_keys()}}}
        case dg.DynamicPartitionsDefinition() if definition.name:
            return {"dynamic": definition.name}
        case dg.MultiPartitionsDefinition():
            return _of_dimensions(definition)
        case _:
            raise ValueError(f"partitions_def is a {type(definition).__name__}; {_ALLOWED}")


def dimension_names(definition: dg.PartitionsDefinition[Any] | None) -> dict[str, str]:
    """How a file calls the dimensions of its keys, by how the platform does; empty for one."""
    if not isinstance(definition, dg.MultiPartitionsDefinition):
        return {}
    return {
        TIME if isinstance(one.partitions_def, dg.TimeWindowPartitionsDefinition) else one.name: (
            one.name
        )
        for one in definition.partitions_defs
    }


def as_written(key: str, names: Mapping[str, str]) -> str:
    """A key as a file has it.

    Args:
        key: of the platform.
        names: as `dimension_names` gives them.
    """
    return _renamed(key, names) if names else key


def as_kept(key: str, names: Mapping[str, str]) -> str:
    """A key as the platform has it: the other way round."""
    return _renamed(key, {theirs: ours for ours, theirs in names.items()}) if names else key


def by_kept_keys(rows: object, names: Mapping[str, str]) -> object:
    """What a function gave for several partitions, by keys as the platform has them."""
    if not names or not isinstance(rows, Mapping):
        return rows
    given = cast("Mapping[object, object]", rows)
    return {as_kept(str(key), names): one for key, one in given.items()}


def window_of(mapping: dg.PartitionMapping | None, key: dg.AssetKey) -> Window | None:
    """Which partitions of an upstream are read; None means what belongs to the own one.

    Raises:
        ValueError: the language has no such window.
    """
    match mapping:
        case (
            None | dg.IdentityPartitionMapping() | dg.MultiToSingleDimensionPartitionMapping()
        ):  # fmt: skip
            return None
        case dg.AllPartitionMapping():
            return Window(all=True)
        case dg.TimeWindowPartitionMapping(start_offset=start, end_offset=0) if start <= 0:
            return Window(last=1 - start) if start else None
        case dg.MultiPartitionMapping():
            return _window_of_dimensions(mapping, key)
        case _:
            raise _no_window(mapping, key)


def _of_time(definition: dg.TimeWindowPartitionsDefinition) -> dict[str, Any]:
    cron = definition.cron_schedule
    every = next((every for form, every in _CRONS.items() if re.fullmatch(form, cron)), None)
    start, end = definition.start, definition.end
    midnights = [moment for moment in (start, end) if moment and (moment.hour or moment.minute)]
    other_keys = definition.fmt != _FORMATS.get(every or "", "%Y-%m-%d")
    if every is None or definition.end_offset or midnights or other_keys:
        raise ValueError(f"partitions_def is a {type(definition).__name__}; {_ALLOWED}")
    first = start.date()
    if every == "week":
        first += timedelta(days=(int(cron[-1]) - first.isoweekday()) % 7)
    elif every == "month" and first.day > 1:
        first = _next_month(first)
    return {
        "every": every,
        "start": first.isoformat(),
        "end": _end(every, first, end.date()) if end else None,
        "timezone": definition.timezone,
    }


def _end(every: str, first: date, end: date) -> str:
    """The day on which none begins any more: only whole ones exist."""
    match every:
        case "week":
            return (end - timedelta(days=(end - first).days % 7)).isoformat()
        case "month":
            return end.replace(day=1).isoformat()
        case _:
            return end.isoformat()


def _next_month(day: date) -> date:
    return (day.replace(day=1) + timedelta(days=31)).replace(day=1)


def _of_dimensions(definition: dg.MultiPartitionsDefinition) -> dict[str, Any]:
    told: dict[str, Any] = {"by": {}}
    for one in definition.partitions_defs:
        match one.partitions_def:
            case dg.TimeWindowPartitionsDefinition() as time if "every" not in told:
                told |= _of_time(time)
            case dg.StaticPartitionsDefinition() as static:
                told["by"][one.name] = {"values": static.get_partition_keys()}
            case other:
                raise ValueError(
                    f"the dimension {one.name} of partitions_def is a {type(other).__name__}; "
                    f"{_ALLOWED}"
                )
    return told


def _renamed(key: str, names: Mapping[str, str]) -> dg.MultiPartitionKey:
    parts = dict(zip(sorted(names), key.split("|"), strict=True))
    return dg.MultiPartitionKey({names[name]: part for name, part in parts.items()})


def _window_of_dimensions(mapping: dg.MultiPartitionMapping, key: dg.AssetKey) -> Window | None:
    """Of dimensions that are mapped to those of the same name, or of time to time."""
    windows: list[Window] = []
    for above, one in mapping.downstream_mappings_by_upstream_dimension.items():
        window = window_of(one.partition_mapping, key)
        timed = TIME in {above, one.dimension_name} or isinstance(
            one.partition_mapping, dg.TimeWindowPartitionMapping
        )
        if (window is not None and window.all) or not (timed or above == one.dimension_name):
            raise _no_window(mapping, key)
        windows += [window] if window else []
    if len(windows) > 1:
        raise _no_window(mapping, key)
    return windows[0] if windows else None


def _no_window(mapping: dg.PartitionMapping | None, key: dg.AssetKey) -> ValueError:
    return ValueError(
        f"{key.to_user_string()} is read by a {type(mapping).__name__} that has no form "
        "here: TimeWindowPartitionMapping(start_offset=-n) reads the last n + 1 "
        "partitions, AllPartitionMapping() all"
    )
