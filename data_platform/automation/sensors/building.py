"""All sensors that start assets because something happened outside, on from the first start.

Called by `definitions`.
"""

import dagster as dg

from data_platform.automation.sensors.file_sensor import file_sensor, file_sources
from data_platform.automation.sensors.reached import Pipelines


def outside_sensors(loaded: Pipelines) -> list[dg.SensorDefinition]:
    """The sensors of all pipelines."""
    return [
        file_sensor(loaded, pipeline.name, files)
        for pipeline in loaded.plan.pipelines
        if (files := file_sources(pipeline.nodes))
    ]
