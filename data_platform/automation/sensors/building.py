"""All sensors that start assets because something happened outside, on from the first start.

Called by `definitions`.
"""

import dagster as dg

from data_platform.automation.sensors.file_sensor import file_sensor, file_sources
from data_platform.automation.sensors.queue_sensor import queue_sensor, queues_of
from data_platform.automation.sensors.reached import Pipelines
from data_platform.automation.sensors.registering import registering_sensor
from data_platform.automation.sensors.topic_sensor import topic_sensor, topic_sources


def outside_sensors(loaded: Pipelines) -> list[dg.SensorDefinition]:
    """The sensors of all pipelines."""
    pipelines = loaded.plan.pipelines
    return [
        *(
            file_sensor(loaded, pipeline.name, files)
            for pipeline in pipelines
            if (files := file_sources(pipeline.nodes))
        ),
        *(
            topic_sensor(loaded, pipeline.name, topics)
            for pipeline in pipelines
            if (topics := topic_sources(pipeline))
        ),
        *(
            registering_sensor(loaded, pipeline.name, pipeline.registrations)
            for pipeline in pipelines
            if pipeline.registrations
        ),
        *(
            queue_sensor(loaded, number, url, nodes)
            for number, (url, nodes) in enumerate(queues_of(loaded.plan.nodes).items(), 1)
        ),
    ]
