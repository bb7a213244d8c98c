"""What is told to the world of what was done, and for how long it is kept: of platform.yaml.

Used by `spec.platform`; resolved by `observability`.
"""

from pydantic import Field, model_validator

from data_platform.spec.model import Model
from data_platform.spec.times import Duration
from data_platform.spec.values import Name
from data_platform.spec.wording import problem


class Lineage(Model):
    """Where events of OpenLineage go: to a server, a file, or a topic."""

    url: str | None = None
    """Of a server, such as `http://marquez:5000`; where it resolves to nothing, nothing is told."""
    api_key: str | None = Field(default=None, min_length=1, repr=False)
    """Of the server, by reference."""
    file: str | None = None
    """A file, to which a line is added for each event; relative to the platform's home."""
    connection: Name | None = None
    """Of type kafka."""
    topic: str | None = None
    """Of the connection."""
    namespace: str = "data_platform"
    """Of the jobs; datasets are in those of their systems."""

    @model_validator(mode="after")
    def _has_one_sink(self) -> "Lineage":
        if (self.connection is None) != (self.topic is None):
            raise problem("lineage", "a topic needs both `connection` and `topic`")
        sinks = [one for one in (self.url, self.file, self.topic) if one is not None]
        if len(sinks) != 1:
            raise problem("lineage", "one of `url`, `file`, or `connection` and `topic`")
        if self.api_key is not None and self.url is None:
            raise problem("lineage", "`api_key` goes with `url`")
        return self


class Retention(Model):
    """For how long what was done is remembered; None means for ever.

    What Dagster needs stays: the latest materialization of each partition, the latest result of
    each check, what isn't finished.
    """

    runs: Duration | None = None
    """Runs after their end, with their events and logs."""
    events: Duration | None = None
    """Events of assets and results of checks, after newer ones have replaced them."""
    ticks: Duration | None = None
    """Looks of sensors and schedules, and what conditions answered in them."""
    compute_logs: Duration | None = None
    """What steps have printed, after the end of their runs; no longer than `runs`."""
    quarantine: Duration | None = None
    """Rows that were held back; decisions about them stay."""
    alerts: Duration | None = None
    """Incidents that are over, and messages that were delivered."""
