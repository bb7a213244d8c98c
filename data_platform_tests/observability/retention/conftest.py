"""A shop that remembers, and nobody else who wants the database."""

from pathlib import Path

import dagster as dg
import pytest
from remembering_shop import RememberingShop

from data_platform.observability.retention import sweeping


@pytest.fixture(autouse=True)
def _no_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody else wants the database."""
    monkeypatch.setattr(sweeping, "LONGEST_REST", 0.0)


@pytest.fixture
def shop(tmp_path: Path, instance: dg.DagsterInstance, dagster_url: str) -> RememberingShop:
    """One in which nothing has happened."""
    return RememberingShop(tmp_path, instance, dagster_url)
