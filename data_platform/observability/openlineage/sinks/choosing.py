"""Where platform.yaml says that events of OpenLineage go.

Called by the sensor at each tick, so that a secret that was changed is taken anew.
"""

from collections.abc import Callable
from pathlib import Path

from data_platform.errors import PermanentError
from data_platform.observability.openlineage.sinks.file import FileSink
from data_platform.observability.openlineage.sinks.http import HttpSink
from data_platform.observability.openlineage.sinks.sending import Sink
from data_platform.observability.openlineage.sinks.topic import KafkaSink
from data_platform.spec.platform import KafkaConnection, Platform
from data_platform.spec.telemetry import Lineage


def sink_of(
    lineage: Lineage, platform: Platform, home: Path, resolved: Callable[[str], str]
) -> Sink | None:
    """The sink that platform.yaml names; None where it resolves to nothing.

    Args:
        lineage: as written.
        platform: with its connections.
        home: at which a relative file starts.
        resolved: gives a text its secrets.

    Raises:
        PlatformError: it can't be one, a variable isn't set, or a store of secrets doesn't answer.
    """
    if lineage.topic is not None:
        connection = platform.connections.get(lineage.connection or "")
        if not isinstance(connection, KafkaConnection):
            return None
        options = {
            name: resolved(value) if isinstance(value, str) else value
            for name, value in connection.options.items()
        }
        servers = resolved(connection.bootstrap_servers)
        known = KafkaConnection(type="kafka", bootstrap_servers=servers, options=options)
        return KafkaSink(known, lineage.topic) if servers else None
    if lineage.file is not None:
        path = resolved(lineage.file)
        return FileSink(home / path) if path else None
    url = resolved(lineage.url or "").strip()
    if url and not url.startswith(("http://", "https://")):
        # Not what it is: it may hold a password.
        raise PermanentError("lineage: the url must begin with http:// or https://")
    key = resolved(lineage.api_key) if lineage.api_key and url else None
    return HttpSink(url, key) if url else None
