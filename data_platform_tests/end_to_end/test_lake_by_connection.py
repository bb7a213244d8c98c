"""A small pipeline in Dagster, its lake in a bucket that a connection of platform.yaml names."""

import json
from collections.abc import Mapping
from pathlib import Path

import dagster as dg
import pytest
from dagster_steps import assets_of
from factories import PIPELINE, Project, key_of
from object_storage import ACCESS_KEY, SECRET_KEY, Bucket, server_url

from data_platform.io_manager import LakeIOManager
from data_platform.loading import load
from data_platform.resources import lake_connection, platform_resources
from data_platform.settings import load_settings
from data_platform.storage.bad_files import kept_bad_files

LAKE_ON_S3 = """
lake: {{root: "${{LAKE}}/prefix", connection: lakes}}
connections:
  lakes:
    type: s3
    endpoint_url: {url}
    access_key_id: ${{LAKE_KEY}}
    secret_access_key: ${{LAKE_SECRET}}
    encryption: {{type: AES256}}
"""
PIPELINE_YAML = """
sources:
  orders: {type: file, path: "in/*.csv", partitions: none, settle: 0s}
  events: {type: python, function: "feed:fetch", incremental: {cursor: at, key: id}}
staging:
  orders:
    from: raw.orders
    quality:
      - range: {column: price, max: 100, on_violation: quarantine}
analytics:
  totals: {sql: totals.sql}
"""
TOTALS = "SELECT COUNT(*) AS orders, SUM(price) AS price FROM staging.orders"
FEED = """
def fetch():
    return [{"id": number, "at": number, "value": "v" * number} for number in range(%d)]
"""
ASSETS = ("raw/orders", "raw/events", "staging/orders", "analytics/totals")
TABLES = (*ASSETS, "quarantine/orders")


def declare(project: Project, events: int) -> None:
    project.declare(PIPELINE_YAML, totals=TOTALS)
    (project.pipelines / PIPELINE / "feed.py").write_text(FEED % events)
    inbox = project.folder / "in"
    inbox.mkdir(exist_ok=True)
    (inbox / "a.csv").write_text("id,price\n1,5\n2,700\n")
    (inbox / "b.csv").write_text("id,price\n3,x\n4,5,6\n")
    (inbox / "c.csv").write_text("id,price\n5,50\n")


def run(project: Project, instance: dg.DagsterInstance) -> dg.ExecuteInProcessResult:
    platform = project.workspace().platform
    lake = LakeIOManager(root=platform.lake.root, connection=lake_connection(platform))
    return dg.materialize(
        assets_of(project, *ASSETS),
        instance=instance,
        resources={**platform_resources(platform), "io_manager": lake},
    )


def versions(project: Project) -> dict[str, dict[str, str]]:
    found = {name: project.table(name).snapshot() for name in TABLES}
    return {
        name: {key: part.data_version for key, part in snapshot.partitions.items()}
        for name, snapshot in found.items()
        if snapshot
    }


def metadata_of(instance: dg.DagsterInstance, name: str) -> Mapping[str, dg.MetadataValue]:
    event = instance.get_latest_materialization_event(dg.AssetKey(key_of(name)))
    assert event is not None
    assert event.asset_materialization is not None
    return event.asset_materialization.metadata


def test_it_gives_what_a_lake_in_a_folder_gives(
    tmp_path: Path, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket = Bucket(server_url())
    monkeypatch.setenv("LAKE", bucket.url)
    monkeypatch.setenv("LAKE_KEY", ACCESS_KEY)
    monkeypatch.setenv("LAKE_SECRET", SECRET_KEY)
    known: dict[str, dict[str, dict[str, str]]] = {}
    for name, text in (
        ("folder", f"lake: {{root: {tmp_path / 'folder' / 'lake'}}}\n"),
        ("bucket", LAKE_ON_S3.format(url=server_url())),
    ):
        home = tmp_path / name
        home.mkdir()
        monkeypatch.setenv("DATA_PLATFORM_HOME", str(home))
        monkeypatch.setenv("DATA_PLATFORM_PIPELINES", str(home / "pipelines"))
        project = Project(home)
        project.platform(text)
        environ = {"LAKE": bucket.url, "LAKE_KEY": ACCESS_KEY, "LAKE_SECRET": SECRET_KEY}
        project.workbench = load(load_settings(), environ).workbench()
        for events in (3, 5):
            declare(project, events)
            assert run(project, instance).success
        known[name] = versions(project)
        assert project.rows("analytics/totals") == [{"orders": 2, "price": 55}]
        assert [row["id"] for row in project.rows("quarantine/orders")] == [2]
        assert project.column("raw/events", "id") == [0, 1, 2, 3, 4]
        [said] = kept_bad_files(project.workbench.lake, key_of("raw/orders")).values()
        assert said["reason"] == "line 3: 3 fields where 2 columns are"
    assert known["bucket"] == known["folder"]
    told = metadata_of(instance, "raw/orders")
    assert told["dagster/uri"].value == f"{bucket.url}/prefix/raw/{PIPELINE}/orders"
    assert "| 1 | 5 |" in str(told["preview"].value)
    assert SECRET_KEY not in json.dumps(
        [str(entry) for entry in instance.all_logs(instance.get_runs()[0].run_id)]
    )
    assert not list((tmp_path / "bucket").glob("**/*.parquet"))
