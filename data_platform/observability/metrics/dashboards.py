"""Grafana's dashboards, made from lists of panels that can be read.

Run as a module it writes them into `data_platform/monitoring/dashboards`; a test holds the files to
it. Every query is asked of a real Prometheus by the tests.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from data_platform.observability.metrics.files import FOLDER
from data_platform.observability.metrics.panels import Board, Panel
from data_platform.observability.metrics.pipeline_board import PIPELINE
from data_platform.observability.metrics.platform_board import PLATFORM

_SOURCE = {"type": "prometheus", "uid": "${datasource}"}
_COLUMNS = 24
_COLORS = ("green", "orange", "red")


def dashboard(board: Board) -> dict[str, Any]:
    """A dashboard as Grafana imports it."""
    panels: list[dict[str, Any]] = []
    top = 0
    for row in board.rows:
        panels.append(_row(row.title, len(panels) + 1, top))
        top += 1
        width = _COLUMNS // len(row.panels)
        for place, panel in enumerate(row.panels):
            at = {"x": place * width, "y": top, "w": width, "h": row.height}
            panels.append(_panel(panel, len(panels) + 1, at))
        top += row.height
    return {
        "uid": board.uid,
        "title": board.title,
        "description": board.text,
        "tags": ["data-platform"],
        "schemaVersion": 38,
        "editable": True,
        "refresh": "30s",
        "time": {"from": "now-24h", "to": "now"},
        "timezone": "browser",
        "templating": {"list": [_DATASOURCE, *map(_variable, board.variables)]},
        "links": [_LINKS],
        "panels": panels,
    }


_DATASOURCE = {
    "name": "datasource",
    "label": "Prometheus",
    "type": "datasource",
    "query": "prometheus",
}
_LINKS = {
    "title": "data-platform",
    "type": "dashboards",
    "tags": ["data-platform"],
    "asDropdown": False,
    "includeVars": False,
    "keepTime": True,
}


def _variable(name: str) -> dict[str, Any]:
    return {
        "name": name,
        "label": name.capitalize(),
        "type": "query",
        "datasource": _SOURCE,
        "query": f"label_values(data_platform_asset_partitions_due, {name})",
        "refresh": 2,
        "sort": 1,
        "multi": True,
    }


def _row(title: str, number: int, top: int) -> dict[str, Any]:
    place = {"x": 0, "y": top, "w": _COLUMNS, "h": 1}
    return {"id": number, "type": "row", "title": title, "collapsed": False, "gridPos": place}


def _panel(panel: Panel, number: int, place: Mapping[str, int]) -> dict[str, Any]:
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.text,
        "datasource": _SOURCE,
        "gridPos": place,
        "targets": [
            _target(panel, letter, query, legend)
            for letter, (query, legend) in zip("ABCDEF", panel.queries, strict=False)
        ],
        "fieldConfig": {"defaults": _field(panel), "overrides": []},
        **({"options": _OPTIONS[panel.kind]} if panel.kind in _OPTIONS else {}),
        **({"transformations": _TABLE} if panel.kind == "table" else {}),
    }


def _target(panel: Panel, letter: str, query: str, legend: str) -> dict[str, Any]:
    form = "table" if panel.kind == "table" else "time_series"
    return {
        "refId": letter,
        "datasource": _SOURCE,
        "expr": query,
        "legendFormat": legend,
        "format": form,
        "instant": panel.kind != "timeseries",
        "range": panel.kind == "timeseries",
    }


def _field(panel: Panel) -> dict[str, Any]:
    steps: list[dict[str, Any]] = [
        {"color": color, "value": value}
        for color, value in zip(_COLORS, (None, *panel.thresholds), strict=False)
    ]
    # A share of a limit may be more than all of it.
    is_part = panel.unit == "percentunit" and max(panel.thresholds, default=0) < 1
    limits = {"min": 0, **({"max": 1} if is_part else {})}
    drawn = {"lineWidth": 1, "fillOpacity": 10, "thresholdsStyle": {"mode": "line"}}
    return {
        "unit": panel.unit,
        **limits,
        "thresholds": {"mode": "absolute", "steps": steps},
        **({"custom": drawn} if panel.kind == "timeseries" and panel.thresholds else {}),
    }


_OPTIONS: Mapping[Literal["timeseries", "stat", "table", "bargauge"], dict[str, Any]] = {
    "stat": {
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        "colorMode": "background",
    },
    "bargauge": {
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        "orientation": "horizontal",
    },
    "timeseries": {
        "legend": {"displayMode": "table", "placement": "bottom", "calcs": ["lastNotNull", "max"]},
        "tooltip": {"mode": "multi", "sort": "desc"},
    },
}
_TABLE = [
    {"id": "merge", "options": {}},
    {
        "id": "organize",
        "options": {"excludeByName": {"Time": True, "instance": True, "job": True}},
    },
]


def texts() -> dict[str, str]:
    """The files of all dashboards, by name."""
    boards: Sequence[tuple[str, Board]] = [("platform", PLATFORM), ("pipeline", PIPELINE)]
    return {
        f"{name}.json": json.dumps(dashboard(board), indent=1, ensure_ascii=False) + "\n"
        for name, board in boards
    }


if __name__ == "__main__":
    for name, text in texts().items():
        (FOLDER / "dashboards" / name).write_text(text, encoding="utf-8")
