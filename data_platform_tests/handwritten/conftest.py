"""`sales` is a pipelines folder over CSV files, with room for an `assets.py`."""

from dataclasses import replace
from pathlib import Path

import dagster as dg
import pytest
from handwritten_sales import ORDERS, Sales

from data_platform.settings import Settings


@pytest.fixture
def sales(
    settings: Settings,
    instance: dg.DagsterInstance,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    lake_place: str,
    lake_root: str,
) -> Sales:
    monkeypatch.setenv("DATA_PLATFORM_HOME", str(tmp_path))
    (tmp_path / "data").mkdir()
    for day, lines in ORDERS.items():
        text = "\n".join(["id,day,country,amount", *lines])
        (tmp_path / "data" / f"orders-{day}.csv").write_text(f"{text}\n")
    (tmp_path / "data" / "rates.csv").write_text("country,rate\nDE,1.19\nFR,1.20\n")
    (tmp_path / "pipelines" / "sales").mkdir(parents=True)
    root = ".data/lake" if lake_place == "folder" else lake_root
    (tmp_path / "pipelines" / "platform.yaml").write_text(f"lake: {{root: '{root}'}}\n")
    ours = replace(settings, pipelines_dirs=(tmp_path / "pipelines",))
    return Sales(tmp_path, ours, instance)
