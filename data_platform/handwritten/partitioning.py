"""Dagster's partitions and mappings of hand-written assets, in the words of the language.

Called by `handwritten.reading`.
"""

from typing import Any

import dagster as dg

from data_platform.spec.asset import Window


def daily_of(definition: dg.PartitionsDefinition[Any] | None) -> dict[str, Any] | str:
    """The partitions as YAML would have them.

    Raises:
        ValueError: the language has none of this form.
    """
    match definition:
        case None:
            return "none"
        case dg.TimeWindowPartitionsDefinition() if (
            definition.schedule_type is not None
            and definition.schedule_type.value == "DAILY"
            and not (definition.minute_offset or definition.hour_offset or definition.end_offset)
        ):
            zone = definition.timezone
            end = definition.end
            return {
                "every": "day",
                "start": definition.start.date().isoformat(),
                "end": end.date().isoformat() if end else None,
                "timezone": zone,
            }
        case _:
            raise ValueError(
                f"partitions_def is a {type(definition).__name__}; assets have daily partitions "
                "without offsets, dg.DailyPartitionsDefinition(start_date=...), or none"
            )


def window_of(mapping: dg.PartitionMapping | None, key: dg.AssetKey) -> Window | None:
    """Which partitions of an upstream are read; None means the same one.

    Raises:
        ValueError: the language has no such window.
    """
    match mapping:
        case None | dg.IdentityPartitionMapping():
            return None
        case dg.AllPartitionMapping():
            return Window(all=True)
        case dg.TimeWindowPartitionMapping(start_offset=start, end_offset=0) if start <= 0:
            return Window(last=1 - start) if start else None
        case _:
            raise ValueError(
                f"{key.to_user_string()} is read by a {type(mapping).__name__} that has no form "
                "here: TimeWindowPartitionMapping(start_offset=-n) reads the last n + 1 "
                "partitions, AllPartitionMapping() all"
            )
