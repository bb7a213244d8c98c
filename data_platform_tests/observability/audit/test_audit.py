"""Who did what, from all that keeps it."""

import getpass
import json
import socket
from datetime import UTC, datetime, timedelta

import dagster as dg
import psycopg2.errors
import pytest
import sqlalchemy as sa
from click.testing import CliRunner
from dagster._core.execution.backfill import BulkActionStatus, PartitionBackfill
from dagster._core.remote_origin import (
    InProcessCodeLocationOrigin,
    RemoteInstigatorOrigin,
    RemoteRepositoryOrigin,
)
from dagster._core.scheduler.instigation import (
    InstigatorState,
    InstigatorStatus,
    InstigatorType,
    SensorInstigatorData,
)
from dagster._core.test_utils import create_run_for_test
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from sqlalchemy.exc import DBAPIError

from data_platform.cli import main
from data_platform.instance.audit_trail import AUDIT, note
from data_platform.instance.own_tables import transaction
from data_platform.instance.users import USER_TAG
from data_platform.observability.audit import reading
from data_platform.observability.audit.deeds import Deed, Span
from data_platform.observability.audit.reading import Wanted, deeds_of
from data_platform.settings import Settings, environment_with

ORDERS = dg.AssetKey(["raw", "shop", "orders"])
ACCOUNT = f"{getpass.getuser()}@{socket.gethostname()}"
REPOSITORY = RemoteRepositoryOrigin(
    InProcessCodeLocationOrigin(LoadableTargetOrigin(module_name="here")), "__repository__"
)


def all_of(instance: dg.DagsterInstance, **wanted: object) -> list[Deed]:
    return list(deeds_of(instance, Wanted(**wanted)).deeds)  # type: ignore[arg-type]


def words(deeds: list[Deed]) -> list[tuple[str, str]]:
    return [(deed.who, deed.action) for deed in deeds]


def start(instance: dg.DagsterInstance, *, key: dg.AssetKey = ORDERS, **tags: str) -> dg.DagsterRun:
    return create_run_for_test(
        instance,
        status=dg.DagsterRunStatus.SUCCESS,
        asset_selection=frozenset({key}),
        tags={tag.replace("__", "/"): text for tag, text in tags.items()},
    )


def test_nothing_was_done(instance: dg.DagsterInstance):
    assert all_of(instance) == []


def test_runs_say_who_or_what_started_them(instance: dg.DagsterInstance):
    start(instance, data_platform__origin="command", data_platform__user="ann")
    start(instance, dagster__schedule_name="nightly", dagster__partition="2024-01-01")
    start(instance, dagster__from_automation_condition="true")
    start(instance, data_platform__cause="trigger airflow: daily", data_platform__user="etl@host")
    start(instance)
    found = all_of(instance)
    assert [(deed.who, deed.detail) for deed in found] == [
        ("somebody in Dagster's UI", "somebody in Dagster's UI"),
        ("etl@host", "trigger airflow: daily"),
        ("its automation", "its automation"),
        ("schedule nightly", "2024-01-01; schedule nightly"),
        ("ann", "data-platform run"),
    ]
    assert {(deed.action, deed.about, deed.result) for deed in found} == {
        ("run started", ("raw/shop/orders",), "success")
    }


def test_backfills_say_who_began_them(instance: dg.DagsterInstance):
    instance.add_backfill(
        PartitionBackfill(
            backfill_id="fill", status=BulkActionStatus.CANCELED, from_failure=False,
            tags={USER_TAG: "ann"}, backfill_timestamp=1_700_000_000.0, asset_selection=[ORDERS],
        )
    )  # fmt: skip
    [deed] = all_of(instance)
    assert (deed.who, deed.action, deed.result) == ("ann", "backfill begun", "canceled")
    assert deed.at == datetime.fromtimestamp(1_700_000_000, UTC)


def test_what_commands_note_has_who_and_the_account(instance: dg.DagsterInstance):
    note(instance, "lake erase", ["raw/shop/orders", "staging/shop/orders"], "rows by email", "ann")
    with environment_with({"DATA_PLATFORM_USER": "bob@shop.example"}):
        note(instance, "quarantine discard", ["staging/shop/orders"], "2 rows: tests")
    note(instance, "retention", [])
    found = all_of(instance)
    assert [(deed.who, deed.action, deed.detail) for deed in found] == [
        (ACCOUNT, "retention", ""),
        ("bob@shop.example", "quarantine discard", "2 rows: tests"),
        ("ann", "lake erase", "rows by email"),
    ]
    assert {deed.account for deed in found} == {ACCOUNT}


def test_secrets_are_not_noted(instance: dg.DagsterInstance):
    note(instance, "quarantine discard", [], "see postgresql://me:s3cretpassword@db/shop")
    [deed] = all_of(instance)
    assert "s3cretpassword" not in deed.detail


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE data_platform_audit SET who = 'nobody'",
        "DELETE FROM data_platform_audit",
        "TRUNCATE data_platform_audit",
    ],
)
def test_what_was_noted_is_never_changed(instance: dg.DagsterInstance, statement: str):
    note(instance, "retention", [])
    refused = pytest.raises(DBAPIError, match="is never changed")
    with refused as raised, transaction(instance, AUDIT) as connection:
        connection.execute(sa.text(statement))
    assert isinstance(raised.value.orig, psycopg2.errors.RaiseException)
    assert len(all_of(instance)) == 1


def test_what_is_done_in_the_ui_is_told(instance: dg.DagsterInstance):
    run = start(instance)
    instance.report_run_canceling(start(instance))
    instance.delete_run(run.run_id)
    instance.report_runless_asset_event(
        dg.AssetMaterialization(ORDERS, partition="2024-01-01", description="by hand")
    )
    instance.wipe_assets([ORDERS])
    instance.add_dynamic_partitions("files", ["a", "b", "c", "d"])
    instance.delete_dynamic_partition("files", "b")
    found = all_of(instance)
    assert [(deed.action, deed.about, deed.detail) for deed in found if deed.who != ACCOUNT][
        :4
    ] == [
        ("partitions registered", ("files",), "d, c, a"),
        ("asset wiped", ("raw/shop/orders",), ""),
        ("build told", ("raw/shop/orders",), "2024-01-01; by hand"),
        ("run cancelled", (run.job_name,), "Sending run termination request."),
    ]
    noted = [(deed.action, deed.about, deed.detail) for deed in found if deed.who == ACCOUNT]
    assert noted == [
        ("partition forgotten", ("files",), "b"),
        ("run deleted", (run.run_id,), f"{run.job_name}, SUCCESS"),
    ]


def test_what_commands_tell_dagster_is_not_told_twice(instance: dg.DagsterInstance):
    def observe() -> None:
        instance.report_runless_asset_event(
            dg.AssetObservation(ORDERS, metadata={"data_platform/by": "ann"})
        )

    observe()
    assert words(all_of(instance)) == [("ann", "observation told")]
    note(instance, "quarantine discard", ["raw/shop/orders"], by="ann")
    observe()
    assert words(all_of(instance)) == [("ann", "quarantine discard"), ("ann", "observation told")]


def test_sensors_that_are_stopped_and_started_are_noted_and_their_ticks_are_not(
    instance: dg.DagsterInstance,
):
    origin = RemoteInstigatorOrigin(REPOSITORY, "files")
    state = InstigatorState(
        origin, InstigatorType.SENSOR, InstigatorStatus.DECLARED_IN_CODE, SensorInstigatorData()
    )
    instance.add_instigator_state(state)
    instance.update_instigator_state(state.with_data(SensorInstigatorData(cursor="7")))
    assert all_of(instance) == []
    for status in (InstigatorStatus.STOPPED, InstigatorStatus.STOPPED, InstigatorStatus.RUNNING):
        instance.update_instigator_state(state.with_status(status))
    assert [(deed.action, deed.about) for deed in all_of(instance)] == [
        ("sensor started", ("files",)),
        ("sensor stopped", ("files",)),
    ]


def test_only_what_is_wanted_is_told(instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch):
    for number in range(3):
        note(instance, "lake rollback", [f"raw/shop{number % 2}/orders"], by=f"ann{number}")
    everything = all_of(instance)
    assert [deed.who for deed in all_of(instance, pipeline="shop0")] == ["ann2", "ann0"]
    assert [deed.who for deed in all_of(instance, key="raw/shop1/orders")] == ["ann1"]
    assert [deed.who for deed in all_of(instance, who="ANN2")] == ["ann2"]
    assert len(all_of(instance, who=ACCOUNT)) == 3
    middle = everything[1].at
    assert [deed.who for deed in all_of(instance, span=Span(since=middle))] == ["ann2", "ann1"]
    assert [deed.who for deed in all_of(instance, span=Span(until=middle))] == ["ann0"]
    some = deeds_of(instance, Wanted(limit=2))
    assert (len(some.deeds), some.more, some.stopped) == (2, True, None)
    assert not deeds_of(instance, Wanted(limit=3)).more
    monkeypatch.setattr(reading, "LOOKED_AT", 2)
    some = deeds_of(instance, Wanted(who="nobody"))
    assert (some.deeds, some.stopped) == ((), everything[1])


def test_pages_are_read_one_after_another(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
):
    for module in ("reading", "of_runs", "of_events"):
        monkeypatch.setattr(f"data_platform.observability.audit.{module}.PAGE", 2)
    for number in range(5):
        start(instance, data_platform__user=f"{number}")
        note(instance, "retention", [], by=f"{number}")
        instance.report_runless_asset_event(dg.AssetMaterialization(ORDERS, partition=f"{number}"))
    found = all_of(instance)
    assert len(found) == 15
    assert found == sorted(found, key=lambda deed: deed.at, reverse=True)
    assert [deed.who for deed in found if deed.action == "retention"] == [*"43210"]


def test_the_command_tells_people_and_programs(
    instance: dg.DagsterInstance, settings: Settings, tmp_path: object
):
    note(instance, "quarantine discard", ["staging/shop/orders"], "2 rows: tests", "ann")
    environ = {
        "DATA_PLATFORM_HOME": str(settings.home),
        "DATA_PLATFORM_STORAGE_URL": settings.storage_url or "",
    }

    def call(*arguments: str) -> str:
        result = CliRunner().invoke(main, ["audit", *arguments], env=environ)
        assert result.exit_code == 0, result.output
        return result.output

    told = call()
    assert [line.split()[2:] for line in told.splitlines()[1:]] == [
        ["ann", "quarantine", "discard", "staging/shop/orders", "2", "rows:", "tests"]
    ]
    [deed] = json.loads(call("--format", "json"))["deeds"]
    assert deed["account"] == ACCOUNT
    assert datetime.fromisoformat(deed["at"]).utcoffset() == timedelta(0)
    assert "nobody did anything of that kind" in call("--until", "2020-01-01")
    assert "ann" in call("--since", "1h", "--who", "Ann")
    wrong = CliRunner().invoke(main, ["audit", "--since", "yesterday"], env=environ)
    assert wrong.exit_code == 2
    assert "'yesterday' is no moment: a date such as 2026-01-31" in wrong.output
