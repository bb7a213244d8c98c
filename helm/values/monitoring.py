"""What Prometheus and Grafana are given, by the operators that read it from the cluster."""

from pydantic import Field

from helm.values.kinds import Labels, Values


class ServiceMonitor(Values):
    """Tells the Prometheus operator where metrics are."""

    enabled: bool = Field(
        default=False, description="Whether there is one; the operator must be installed."
    )
    interval: str = Field(
        default="30s", pattern=r"^[0-9]+(s|m)$", description="How often metrics are read."
    )
    labels: Labels = Field(
        default_factory=dict, description="By which your Prometheus selects: release: prometheus."
    )


class PrometheusRule(Values):
    """Alerts and recording rules of the platform, as `data-platform metrics --write` has them."""

    enabled: bool = Field(
        default=False, description="Whether there is one; the operator must be installed."
    )
    labels: Labels = Field(
        default_factory=dict, description="By which your Prometheus selects: release: prometheus."
    )
    runbooks: str = Field(
        default="",
        pattern=r"^(https?://.*[^/])?$",
        description=(
            "What stands before `docs/...` in links of alerts to the pages on what to do, as"
            " https://git.example.com/data-platform/blob/main. Empty: links stay relative."
        ),
    )


class Dashboards(Values):
    """Grafana's dashboards, as ConfigMaps that its sidecar finds."""

    enabled: bool = Field(default=False, description="Whether there are any.")
    labels: Labels = Field(
        default_factory=lambda: {"grafana_dashboard": "1"},
        description="By which the sidecar finds them.",
    )
    annotations: Labels = Field(
        default_factory=dict, description="For the sidecar: grafana_folder: Data platform."
    )


class Monitoring(Values):
    """What watches the platform from outside."""

    service_monitor: ServiceMonitor = Field(
        default=ServiceMonitor(), description="Where Prometheus finds metrics."
    )
    prometheus_rule: PrometheusRule = Field(
        default=PrometheusRule(), description="Alerts and recording rules."
    )
    dashboards: Dashboards = Field(default=Dashboards(), description="Grafana's dashboards.")
