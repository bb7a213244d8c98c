"""What steps print is kept here, or in a bucket, and no run fails of a bucket."""

import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.storage.compute_log_manager import ComputeIOType, ComputeLogManager
from object_storage import ACCESS_KEY, SECRET_KEY, Bucket, server_url

from data_platform.instance import bucket_logs
from data_platform.instance.bucket_logs import BucketLogs
from data_platform.instance.compute_logs import PlatformComputeLogs
from data_platform.instance.storage import open_instance
from data_platform.secrets import masker
from data_platform.settings import Settings, load_settings

SECRET = "s3cr3t-of-logs"
KEY = ["run", "compute_logs", "step"]


def say(text: str) -> None:
    """What a step prints."""
    sys.stdout.write(f"{text}\n")


@pytest.fixture(autouse=True)
def _known_secret() -> None:
    masker.know(SECRET)


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Bucket:
    """A bucket that the environment tells of."""
    made = Bucket()
    variables = {
        "AWS_ENDPOINT_URL": server_url(),
        "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
        "DATA_PLATFORM_COMPUTE_LOGS": f"{made.url}/of/team",
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return made


@pytest.fixture
def manager(bucket: Bucket, tmp_path: Path) -> Iterator[BucketLogs]:
    """As a run has it."""
    made = BucketLogs(f"{bucket.url}/of/team", tmp_path / "here")
    yield made
    made.dispose()


def elsewhere(bucket: Bucket, tmp_path: Path) -> BucketLogs:
    """As the webserver of another machine has it."""
    return BucketLogs(f"{bucket.url}/of/team", tmp_path / "elsewhere")


def read(manager: ComputeLogManager[Any], key: list[str] = KEY) -> str:
    """What a step has printed."""
    return (manager.get_log_data(key).stdout or b"").decode()


@pytest.fixture
def printing(capfd: pytest.CaptureFixture[str]) -> Iterator[None]:
    """Standard output as a process has it."""
    with capfd.disabled():
        yield


@pytest.mark.usefixtures("printing")
def test_a_log_is_read_on_another_machine(
    manager: BucketLogs, bucket: Bucket, tmp_path: Path
) -> None:
    with manager.capture_logs(KEY):
        say(f"hello {SECRET}")

    other = elsewhere(bucket, tmp_path)
    assert other.is_capture_complete(KEY)
    assert read(other) == "hello ***\n"
    assert other.get_log_metadata(KEY).stdout_location == (
        f"{bucket.url}/of/team/storage/run/compute_logs/step.out"
    )
    assert not list((tmp_path / "here").rglob("*.out"))


@pytest.mark.usefixtures("printing")
def test_a_log_is_read_while_its_step_runs(
    manager: BucketLogs, bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bucket_logs, "EVERY_SECONDS", 0.2)
    other = elsewhere(bucket, tmp_path)

    with manager.capture_logs(KEY):
        say("so far")
        while not other.cloud_storage_has_logs(KEY, ComputeIOType.STDOUT, partial=True):
            pass
        assert not other.is_capture_complete(KEY)
        assert read(other) == "so far\n"
    assert other.is_capture_complete(KEY)
    assert not other.cloud_storage_has_logs(KEY, ComputeIOType.STDOUT, partial=True)


@pytest.mark.usefixtures("printing")
def test_a_log_stays_while_the_bucket_is_down_and_goes_with_the_next(
    manager: BucketLogs,
    bucket: Bucket,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    down = BucketLogs(f"{bucket.url}/of/team", tmp_path / "here")
    with caplog.at_level(logging.WARNING), down.capture_logs(KEY):
        say("nobody answers")
    assert "compute logs can't be sent, and stay in" in caplog.text
    assert read(down) == "nobody answers\n"

    monkeypatch.setenv("AWS_ENDPOINT_URL", server_url())
    with manager.capture_logs(["run", "compute_logs", "next"]):
        pass

    assert read(elsewhere(bucket, tmp_path)) == "nobody answers\n"
    assert not list((tmp_path / "here" / ".later").iterdir())


def test_logs_are_removed_in_the_bucket_too(
    manager: BucketLogs, bucket: Bucket, tmp_path: Path
) -> None:
    with manager.capture_logs(KEY):
        pass

    manager.delete_logs(prefix=["run"])

    assert not elsewhere(bucket, tmp_path).is_capture_complete(KEY)


def test_the_settings_say_where_logs_are(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, bucket: Bucket
) -> None:
    with open_instance(settings) as instance:
        assert isinstance(instance.compute_log_manager, BucketLogs)
        assert instance.info_dict()

    monkeypatch.delenv("DATA_PLATFORM_COMPUTE_LOGS")
    with open_instance(settings) as instance:
        assert isinstance(instance.compute_log_manager, PlatformComputeLogs)


@pytest.mark.parametrize("url", ["s3:/b", "gs://b/c", "/a/folder", "s3:///x"])
def test_what_is_no_bucket_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"DATA_PLATFORM_COMPUTE_LOGS is .*it must be s3://bucket"):
        load_settings({"DATA_PLATFORM_COMPUTE_LOGS": url})


@pytest.mark.usefixtures("printing")
def test_what_a_step_prints_is_in_its_log_without_secrets(settings: Settings) -> None:
    @dg.asset
    def orders() -> None:
        say(f"printed {SECRET}")

    job = dg.Definitions(assets=[orders]).resolve_implicit_global_asset_job_def()
    with open_instance(settings) as instance:
        result = job.execute_in_process(instance=instance)
        (event,) = [e for e in result.all_events if e.event_type_value == "LOGS_CAPTURED"]
        logs = instance.compute_log_manager
        captured: Any = event.event_specific_data
        key = logs.build_log_key_for_run(result.run_id, captured.file_key)
        assert "printed ***\n" in read(logs, [*key])
