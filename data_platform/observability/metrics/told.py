"""What is wrong as alerts know it, and what waits to be told: messages, and events of lineage.

Called by `exporter` each minute: a channel or a sink that is down for days has much that waits.
"""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime

from dagster import DagsterInstance

from data_platform.observability.alerts.outbox import undelivered
from data_platform.observability.incidents.keeping import open_incidents
from data_platform.observability.metrics import catalogue
from data_platform.observability.metrics.catalogue import Sample
from data_platform.observability.openlineage.outbox import waiting
from data_platform.spec.alerts import SEVERITIES


def look_at_told(instance: DagsterInstance) -> Iterator[Sample]:
    """The gauges of incidents, channels and sinks."""
    incidents = open_incidents(instance)
    causes = Counter(one.told_as for one in incidents if one.told_at and one.under is None)
    for severity in SEVERITIES:
        yield Sample(catalogue.INCIDENTS, (severity,), causes[severity])
    for one in undelivered(instance, datetime.now(UTC)):
        yield Sample(catalogue.UNDELIVERED, (one.channel,), one.waiting)
    lineage = waiting(instance)
    yield Sample(catalogue.LINEAGE_WAITING, ("waiting",), lineage.count)
    yield Sample(catalogue.LINEAGE_WAITING, ("refused",), lineage.refused)
