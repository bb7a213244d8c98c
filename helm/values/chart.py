"""All values of the chart, in the order of values.yaml. Read by `schema` and by tests."""

from typing import Literal

from pydantic import Field, JsonValue

from helm.values.access import Ingress, OAuth2Proxy
from helm.values.instance import Instance
from helm.values.kinds import OptionalName, SecretVariable, Values, VariableName
from helm.values.locations import CodeLocation, LocationDefaults
from helm.values.monitoring import Monitoring
from helm.values.network import NetworkPolicies
from helm.values.pods import ChartImage
from helm.values.servers import Daemon, Metrics, Migration, ReadOnlyWebserver, Runs, Webserver
from helm.values.storage import Lake, Scratch, Storage


class ChartValues(Values):
    """All values of the chart."""

    name_override: OptionalName = Field(
        default="", description="Instead of data-platform in the label app.kubernetes.io/name."
    )
    fullname_override: OptionalName = Field(
        default="", description="Instead of the release's name in names of objects."
    )
    mode: Literal["production", "development"] = Field(
        default="production",
        description="In production nobody gets in without TLS and without signing in.",
    )
    image: ChartImage = Field(
        default=ChartImage(), description="One image for all; locations may have their own."
    )
    storage: Storage = Field(default=Storage(), description="Dagster's database.")
    lake: Lake = Field(default=Lake(), description="Where tables and the output of steps are.")
    scratch: Scratch = Field(default=Scratch(), description="The node's disk, for each pod.")
    env: dict[VariableName, str] = Field(
        default_factory=dict,
        description="Variables of all pods: AWS_REGION, AWS_ENDPOINT_URL. No secrets.",
    )
    secret_env: tuple[SecretVariable, ...] = Field(
        default=(),
        description="Variables of all pods from Secrets: better a location's own `secretEnv`.",
    )
    code_locations: tuple[CodeLocation, ...] = Field(
        default=(CodeLocation(name="pipelines"),),
        min_length=1,
        description=(
            "Teams' pipelines, each deployed by itself: a name, and what differs from"
            " `locationDefaults`."
        ),
    )
    location_defaults: LocationDefaults = Field(
        default=LocationDefaults(),
        description="What holds for every code location that says nothing else.",
    )
    runs: Runs = Field(default=Runs(), description="Pods of runs.")
    instance: Instance = Field(
        default=Instance(), description="dagster.yaml: the queue, run monitoring, retries."
    )
    webserver: Webserver = Field(default=Webserver(), description="Dagster's UI for editors.")
    read_only_webserver: ReadOnlyWebserver = Field(
        default=ReadOnlyWebserver(),
        description="The same for viewers: the server itself refuses all changes.",
    )
    daemon: Daemon = Field(
        default=Daemon(), description="Schedules, sensors, the queue, run monitoring."
    )
    metrics: Metrics = Field(default=Metrics(), description="Exporters of metrics, one a location.")
    migration: Migration = Field(
        default=Migration(), description="The database, before each installation and upgrade."
    )
    ingress: Ingress = Field(default=Ingress(), description="The way in from outside.")
    oauth2_proxy: OAuth2Proxy = Field(
        default=OAuth2Proxy(), description="Who may come in, and as what.", alias="oauth2Proxy"
    )
    network_policy: NetworkPolicies = Field(
        default=NetworkPolicies(), description="Who may talk to whom."
    )
    monitoring: Monitoring = Field(default=Monitoring(), description="Prometheus and Grafana.")
    globals: dict[str, JsonValue] = Field(
        default_factory=dict,
        alias="global",
        description="Set by charts that contain this one. Not read here.",
    )
