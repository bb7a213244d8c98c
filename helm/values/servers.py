"""Webservers, the daemon, the exporter of metrics, the migration of the database, and runs."""

from typing import Literal

from pydantic import Field

from helm.values.kinds import OptionalQuantity, Values
from helm.values.pods import Resources, Workload, resources


class Webserver(Workload):
    """Dagster's UI for editors."""

    replicas: int = Field(
        default=2, ge=1, le=20, description="Pods. Two: one may leave while the other serves."
    )
    grace_seconds: int = Field(
        default=20,
        ge=1,
        le=600,
        description="Seconds in which open requests are finished when a pod is to end.",
    )
    resources: Resources = Field(
        default=resources(cpu="250m", memory="512Mi", limit="1Gi"),
        description="CPU and memory of a pod.",
    )


class ReadOnlyWebserver(Webserver):
    """The same for viewers: the server itself refuses all changes."""

    enabled: bool = Field(default=False, description="Whether there is one.")


class Daemon(Workload):
    """Dagster's daemon: schedules, sensors, the queue, run monitoring."""

    replicas: Literal[1] = Field(
        default=1,
        description="Always 1: two would launch everything twice. Kubernetes replaces a dead one.",
    )
    grace_seconds: int = Field(
        default=60, ge=1, le=600, description="Seconds in which ticks are finished at its end."
    )
    resources: Resources = Field(
        default=resources(cpu="500m", memory="768Mi", limit="2Gi"),
        description="CPU and memory of the pod.",
    )


class Metrics(Workload):
    """Exporters of metrics, one for each code location: `data-platform metrics`."""

    enabled: bool = Field(
        default=True,
        description="Whether there are any. They also tell when the daemon is down.",
    )
    max_assets: int = Field(
        default=5000, ge=0, description="Assets with series of their own, as `--max-assets`."
    )
    resources: Resources = Field(
        default=resources(cpu="100m", memory="512Mi", limit="1Gi"),
        description="CPU and memory of the pod.",
    )


class Migration(Workload):
    """A Job before each installation and upgrade: `data-platform migrate`."""

    enabled: bool = Field(
        default=True,
        description="Whether Helm does it. Without it, somebody must before new pods start.",
    )
    deadline_seconds: int = Field(
        default=900, ge=60, description="Seconds after which it has failed, and the upgrade too."
    )
    resources: Resources = Field(
        default=resources(cpu="250m", memory="512Mi", limit="1Gi"),
        description="CPU and memory of the pod.",
    )


class RunQuota(Values):
    """A ResourceQuota on all pods of the namespace."""

    enabled: bool = Field(default=False, description="Whether there is one.")
    pods: int = Field(default=100, ge=1, description="Pods at once, of all kinds.")
    cpu: OptionalQuantity = Field(default="", description="Cores asked for in all. Empty: any.")
    memory: OptionalQuantity = Field(default="", description="Memory asked for in all. Empty: any.")


class Runs(Workload):
    """Pods of runs, each a Kubernetes Job that the daemon makes."""

    step_pods: bool = Field(
        default=False,
        description=(
            "Whether runs may start pods for their steps (k8s_job_executor). They then have the"
            " right to make and delete Jobs; without it, no token at all."
        ),
    )
    resources: Resources = Field(
        default=resources(cpu="500m", memory="1Gi", limit="2Gi"),
        description="Of runs whose assets ask for nothing (`resources` of a pipeline).",
    )
    quota: RunQuota = Field(
        default=RunQuota(), description="The most that all of the namespace may take."
    )
