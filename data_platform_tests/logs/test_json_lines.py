"""A line of a log as JSON: one line, always valid, without secrets, knowing what it is about."""

import json
import logging
import threading
from pathlib import Path
from typing import Any

import pytest
from forked_command import run_command

from data_platform.logs import surroundings
from data_platform.logs.json_lines import LONGEST, JsonLines
from data_platform.logs.records import PlatformRecord
from data_platform.logs.surroundings import about, name_step, partition_of
from data_platform.secrets import masker
from data_platform.settings import load_settings

SECRET = "s3cr3t-of-lines"
STEP = "analytics__sales__rates"


@pytest.fixture(autouse=True)
def _known_secret() -> None:
    masker.know(SECRET)


@pytest.fixture(autouse=True)
def step(monkeypatch: pytest.MonkeyPatch) -> None:
    """A step whose assets are known."""
    monkeypatch.setattr(surroundings, "_steps", {})
    asset = {"pipeline": "sales", "layer": "analytics", "asset": "analytics/sales/rates"}
    name_step(STEP, asset)


def record(message: object, *args: object, **more: Any) -> PlatformRecord:
    """A line as a module makes it."""
    made = PlatformRecord("people.own", logging.INFO, "file.py", 1, message, args, None)
    made.created = 1_700_000_000.25
    for name, value in more.items():
        setattr(made, name, value)
    return made


def told(made: logging.LogRecord) -> dict[str, Any]:
    """What a line says; it is one line and valid JSON."""
    line = JsonLines().format(made)
    assert "\n" not in line
    assert len(line.encode()) <= LONGEST
    return json.loads(line, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))


def test_a_line_tells_time_level_logger_and_message() -> None:
    found = told(record("%s rows of %s", 3, "Zürich\nand 東京"))

    assert found.pop("process") > 0
    assert found == {
        "time": "2023-11-14T22:13:20.250Z",
        "level": "INFO",
        "logger": "people.own",
        "message": "3 rows of Zürich\nand 東京",
    }


def test_a_line_of_a_step_tells_what_it_is_about() -> None:
    run = {"run": "r-1", "job": "all", "step": STEP, "partition": "2024-01-01", "try": 2}
    with about({**run, "code_location": None}):
        found = told(record("x"))

    assert (
        found
        | run
        | {
            "pipeline": "sales",
            "layer": "analytics",
            "asset": "analytics/sales/rates",
        }
        == found
    )
    assert "code_location" not in found
    assert "run" not in told(record("after"))


def test_a_thread_that_a_step_starts_tells_it_too() -> None:
    made: list[logging.LogRecord] = []
    with about({"run": "r-1"}):
        thread = threading.Thread(target=lambda: made.append(record("x")))
        thread.start()
        thread.join()

    assert told(made[0])["run"] == "r-1"


def test_a_line_of_dagsters_tells_what_dagster_knows() -> None:
    meta = {
        "run_id": "r-1",
        "job_name": "all",
        "step_key": STEP,
        "orig_message": f"asked with {SECRET}",
        "job_tags": {"dagster/partition": "2024-01-01"},
    }

    found = told(record(f"all - r-1 - asked with {SECRET}", dagster_meta=meta))

    assert found["message"] == "asked with ***"
    assert (found["run"], found["job"], found["step"]) == ("r-1", "all", STEP)
    assert (found["asset"], found["partition"]) == ("analytics/sales/rates", "2024-01-01")


def test_a_range_is_told_by_its_first_and_last_partition() -> None:
    tags = {
        "dagster/asset_partition_range_start": "2024-01-01",
        "dagster/asset_partition_range_end": "2024-01-31",
    }

    assert partition_of(tags) == "2024-01-01...2024-01-31"
    assert partition_of({}) is None


def test_an_error_is_told_with_its_causes_and_without_secrets() -> None:
    error = RuntimeError(f"refused {SECRET}")
    error.__cause__ = ValueError(f"no number: '{SECRET}'")

    found = told(record("failed", exc_info=(RuntimeError, error, None)))

    assert "ValueError: no number: '***'" in found["exception"]
    assert "RuntimeError: refused ***" in found["exception"]
    assert SECRET not in found["exception"]


def test_arguments_and_the_stack_are_masked() -> None:
    found = told(record("a %s, b %r", SECRET, {"k": SECRET}, stack_info=f"Stack: {SECRET}"))

    assert found["message"] == "a ***, b {'k': '***'}"
    assert found["stack"] == "Stack: ***"


class Unsaid:
    """An object that can't be shown."""

    def __str__(self) -> str:
        raise LookupError(SECRET)

    __repr__ = __str__


@pytest.mark.parametrize(
    ("message", "args", "said"),
    [
        pytest.param("%d rows", ("no number",), "TypeError while this line", id="wrong argument"),
        pytest.param("%s %s", ("one",), "TypeError while this line was made of '%s %s'", id="few"),
        pytest.param(
            Unsaid(), (), "LookupError while this line was made of an object", id="object"
        ),
        pytest.param("%s", (Unsaid(),), "LookupError while this line", id="object as argument"),
    ],
)
def test_a_line_that_cannot_be_made_is_not_lost(
    message: object, args: tuple[object, ...], said: str
) -> None:
    with about({"run": "r-1"}):
        found = told(record(message, *args))

    assert found["message"].startswith(said)
    assert found["run"] == "r-1"


@pytest.mark.parametrize("letter", ["x", "ü", "\n", "\x00", "😀", '"'])
def test_a_huge_line_is_cut_and_says_so(letter: str) -> None:
    found = told(record(letter * 200_000))

    assert found["message"].startswith(letter * 1000)
    assert found["cut"] == 200_000 - len(found["message"])


def test_half_a_character_is_replaced() -> None:
    assert told(record("a \ud800 b"))["message"] == "a ? b"


def test_text_formatters_get_no_secret_either() -> None:
    made = record("with %s", SECRET, exc_info=(ValueError, ValueError(SECRET), None))

    text = logging.Formatter("%(message)s").format(made)

    assert text.startswith("with ***")
    assert SECRET not in text
    assert SECRET not in logging.Formatter("%(message)s").format(made)


@pytest.mark.parametrize(
    ("variable", "value", "match"),
    [
        ("DATA_PLATFORM_LOG_FORMAT", "xml", "is 'xml': it must be json or text"),
        ("DATA_PLATFORM_LOG_LEVEL", "loud", "is 'loud': it must be one of DEBUG, INFO"),
    ],
)
def test_wrong_settings_are_refused(variable: str, value: str, match: str) -> None:
    with pytest.raises(ValueError, match=f"{variable} {match}"):
        load_settings({variable: value})


SCRIPT = f"""
import logging, threading, warnings
import dagster as dg
from data_platform.instance.storage import open_instance
from data_platform.settings import load_settings

log = logging.getLogger("people.own")

@dg.asset(retry_policy=dg.RetryPolicy(max_retries=1))
def rates(context: dg.AssetExecutionContext) -> None:
    context.log.info("context says {SECRET}")
    log.warning("module says\\n{SECRET}")
    warnings.warn("old {SECRET}")
    if context.retry_number == 0:
        raise ValueError("refused {SECRET}")

with open_instance(load_settings()) as instance:
    log.warning("before")
    job = dg.Definitions(assets=[rates]).resolve_implicit_global_asset_job_def()
    job.execute_in_process(
        instance=instance, raise_on_error=False, tags={{"dagster/partition": "2024-01-01"}}
    )
    log.warning("after")
raise SystemExit(0)
"""


def test_a_process_writes_nothing_but_json(tmp_path: Path, dagster_url: str) -> None:
    (tmp_path / "script.py").write_text(SCRIPT)
    environ = {
        "DATA_PLATFORM_HOME": str(tmp_path),
        "DATA_PLATFORM_STORAGE_URL": dagster_url,
        "DATA_PLATFORM_LOG_FORMAT": "json",
        "OWN_TOKEN": SECRET,
    }

    ended = run_command(["python", "script.py"], tmp_path, environ)

    lines = [json.loads(line) for line in ended.stdout.splitlines()]
    by_message = {line["message"]: line for line in lines}
    assert SECRET not in ended.stdout
    assert {"before", "after", "context says ***", "module says\n***"} <= by_message.keys()
    assert len([line for line in lines if line["message"] == "module says\n***"]) == 2
    assert len([line for line in lines if line["message"] == "before"]) == 1
    within = [line for line in lines if line["message"] not in {"before", "after"}]
    assert all(line["run"] for line in within)
    said = by_message["context says ***"]
    assert (said["step"], said["partition"]) == ("rates", "2024-01-01")
    failed = [line for line in lines if "exception" in line]
    assert any("ValueError: refused ***" in line["exception"] for line in failed)
