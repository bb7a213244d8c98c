"""What a dashboard is made of, before it is Grafana's JSON.

Filled in by `platform_board` and `pipeline_board`, made into files by `dashboards`.
"""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Panel:
    """A panel.

    Attributes:
        title: of it.
        unit: as Grafana calls it.
        queries: each with the legend of its series.
        kind: as Grafana calls it.
        thresholds: from which it is orange, and red.
        text: what else one should know.
    """

    title: str
    unit: str
    queries: tuple[tuple[str, str], ...]
    kind: Literal["timeseries", "stat", "table", "bargauge"] = "timeseries"
    thresholds: tuple[float, ...] = ()
    text: str = ""


@dataclass(frozen=True)
class Row:
    """Panels side by side, of the same width.

    Attributes:
        title: above them.
        panels: from the left; a number that divides 24.
        height: in Grafana's units of 30 pixels.
    """

    title: str
    panels: tuple[Panel, ...]
    height: int = 8


@dataclass(frozen=True)
class Board:
    """A dashboard.

    Attributes:
        uid: by which links name it.
        title: of it.
        text: what it is for.
        rows: from the top.
        variables: labels that one chooses a value of.
    """

    uid: str
    title: str
    text: str
    rows: tuple[Row, ...]
    variables: tuple[str, ...] = ()


def stat(title: str, query: str, *thresholds: float) -> Panel:
    """One number, with the values from which it is orange and red."""
    return Panel(title, "short", ((query, ""),), "stat", thresholds)


def lines(
    title: str, unit: str, *queries: tuple[str, str], limits: tuple[float, ...] = (), text: str = ""
) -> Panel:
    """Lines over time; each query with the legend of its series."""
    return Panel(title, unit, queries, "timeseries", limits, text)


def table(title: str, query: str, *thresholds: float) -> Panel:
    """Whatever the query finds now."""
    return Panel(title, "short", ((query, ""),), "table", thresholds)


def p95(metric: str, by: str, where: str = "") -> str:
    """What 95 % of the observations of a histogram don't exceed."""
    name = f"data_platform_{metric}_bucket{where}"
    return f"histogram_quantile(0.95, sum by ({by}, le) (rate({name}[$__rate_interval])))"
