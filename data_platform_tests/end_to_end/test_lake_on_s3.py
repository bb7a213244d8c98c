"""The whole platform with its lake in a bucket: the same rows, versions and deliveries."""

from pathlib import Path

import pytest
from object_storage import Bucket, usual_variables
from retail_platform import LAKE_ASSETS, Databases, RetailPlatform, retail_platform

from data_platform.run_reports import RunReport

pytestmark = pytest.mark.campaign


def test_a_lake_in_a_bucket_holds_what_one_in_a_folder_does(
    built: tuple[RetailPlatform, RunReport], databases: Databases, tmp_path: Path
) -> None:
    local, _ = built
    with retail_platform(databases, tmp_path) as platform:
        bucket = Bucket()
        platform.lake_environ = {"LAKE_ROOT": f"{bucket.url}/lake", **usual_variables()}
        assert platform.run().succeeded
        with platform.environment():
            assert platform.lake.root == f"{bucket.url}/lake"
            assert platform.versions() == local.versions()
            assert platform.warehouse_tables() == local.warehouse_tables()
            before = platform.delta_versions()
            assert platform.run().succeeded
            assert platform.delta_versions() == before
            names = [found.relative for found in platform.lake.place.list("")]
            assert {"/".join(name.split("/")[:3:2]) for name in names} == set(LAKE_ASSETS)
    assert not (tmp_path / "lake").exists()
