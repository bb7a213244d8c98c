"""Why an asset doesn't run: over a real instance, with what Dagster's processes record in it."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest
from dagster import DagsterRunStatus as Status
from dagster._core.events import (
    AssetMaterializationPlannedData,
    DagsterEvent,
    StepMaterializationData,
    StepRetryData,
)
from dagster._core.execution.plan.objects import StepFailureData
from dagster._core.remote_origin import (
    InProcessCodeLocationOrigin,
    RemoteInstigatorOrigin,
    RemoteJobOrigin,
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
from dagster._daemon.types import DaemonHeartbeat
from dagster._utils.error import SerializableErrorInfo
from factories import DAY, DAYS, NEXT_DAY, Project

from data_platform.asset_specs import external_key
from data_platform.errors import PermanentError
from data_platform.instance.run_limits import ACTIVE_RUNS_TAG
from data_platform.observability.reasons.question import Records
from data_platform.observability.reasons.why import Why, why
from data_platform.plan.finding import check_partition
from data_platform.plan.pipelines import Plan

NOW = datetime(2024, 1, 11, 6, tzinfo=UTC)
NEWEST = DAYS[-1]
PLATFORM = """connections: {shop: {type: database, url: postgresql://nowhere}}
pools: {few: 1}
external_assets: {warehouse/rates: {description: Rates}}
"""
BODY = """partitions: {every: day, start: 2024-01-01}
sources:
  orders: {type: database, connection: shop, table: orders, cursor: at, pool: few}
  files: {type: file, path: "files/{partition_key}.csv", arrival: sensor}
  hand: {type: database, connection: shop, table: hand, cursor: at, automation: manual}
staging:
  orders: {from: raw.orders, retries: {attempts: 3, delay: 30s}}
  files: {from: raw.files, enabled: false}
analytics:
  late: {query: "select 1 as one from staging.orders", automation: freshness,
    freshness: {deadline: "0 9 * * *", within: 2h, timezone: Europe/Berlin}}
  ticks: {query: "select 1 as one from staging.orders",
    automation: {cron: "0 7 * * *", timezone: Europe/Berlin}}
  once: {query: "select 1 as one from staging.orders", automation: on_missing}
  told: {query: "select 1 as one from staging.orders", after: [warehouse/rates]}
"""
SCHEDULE = 'schedule: {cron: "0 6 * * *", timezone: Europe/Berlin}\n'
REPOSITORY = RemoteRepositoryOrigin(
    InProcessCodeLocationOrigin(LoadableTargetOrigin(module_name="here")), "__repository__"
)
Ask = Callable[..., Why]


@pytest.fixture
def plan(project: Project) -> Plan:
    project.platform(PLATFORM)
    project.declare(SCHEDULE + BODY)
    project.know(orders={"id": "BIGINT"}, files={"id": "BIGINT"}, hand={"id": "BIGINT"})
    built = project.build()
    assert not built.problems, built.problems
    return built.plan


@pytest.fixture
def ask(plan: Plan, project: Project, instance: dg.DagsterInstance) -> Ask:
    """Ask as the command does, at some moment; all daemons are there."""
    for daemon in ("SENSOR", "SCHEDULER", "QUEUED_RUN_COORDINATOR"):
        beat = DaemonHeartbeat(datetime.now(UTC).timestamp(), daemon, "1", [])
        instance.add_daemon_heartbeat(beat)

    def asked(name: str, partition: str | None = NEWEST, now: datetime = NOW) -> Why:
        records = Records(plan, instance, project.workbench.lake, now)
        layer, _, asset = name.partition("/")
        node = next(one for one in plan.nodes if one.key == (layer, "shop", asset))
        return why(records, node, partition)

    return asked


def key(name: str) -> dg.AssetKey:
    layer, _, asset = name.partition("/")
    return dg.AssetKey([layer, "shop", asset])


def run(
    instance: dg.DagsterInstance,
    name: str,
    status: Status,
    *partitions: str,
    **tags: str,
) -> str:
    """A run of an asset, over a partition or from the first to the last of several."""
    named = dict.fromkeys(["dagster/partition"], partitions[0]) if len(partitions) == 1 else {}
    if len(partitions) > 1:
        named = {
            "dagster/asset_partition_range_start": partitions[0],
            "dagster/asset_partition_range_end": partitions[-1],
        }
    return create_run_for_test(
        instance,
        status=status,
        remote_job_origin=RemoteJobOrigin(REPOSITORY, "job"),
        asset_selection=frozenset({key(name)}),
        tags={**named, **{tag.replace("__", "/"): text for tag, text in tags.items()}},
    ).run_id


def report(instance: dg.DagsterInstance, run_id: str, kind: dg.DagsterEventType, **what: object):
    event = DagsterEvent(kind.value, "job", **what)  # type: ignore[arg-type]
    instance.report_dagster_event(event, run_id)


def fail(
    instance: dg.DagsterInstance, name: str, reason: str, *partitions: str, **tags: str
) -> str:
    """A run in which the step of an asset failed."""
    run_id = run(instance, name, Status.STARTED, *partitions, **tags)
    step = "__".join(key(name).path)
    for partition in partitions:
        planned = AssetMaterializationPlannedData(key(name), partition)
        report(
            instance, run_id, dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED,
            step_key=step, event_specific_data=planned,
        )  # fmt: skip
    error = SerializableErrorInfo(reason, [], "Failure")
    report(
        instance, run_id, dg.DagsterEventType.STEP_FAILURE,
        step_key=step, event_specific_data=StepFailureData(error, None),
    )  # fmt: skip
    found = instance.get_run_by_id(run_id)
    assert found is not None
    instance.report_run_failed(found)
    return run_id


def publish(
    instance: dg.DagsterInstance, project: Project, name: str, *partitions: str, run_id: str = ""
) -> None:
    """Rows in the lake, and what a run records of them."""
    rows = dict.fromkeys(partitions, "SELECT 1::BIGINT AS id")
    project.land_all(name, rows)
    for partition in partitions:
        made = dg.AssetMaterialization(key(name), partition=partition)
        if run_id:
            data = StepMaterializationData(made)
            report(
                instance, run_id, dg.DagsterEventType.ASSET_MATERIALIZATION,
                event_specific_data=data,
            )  # fmt: skip
        else:
            instance.report_runless_asset_event(made)


def stop(instance: dg.DagsterInstance, name: str) -> None:
    """What a click in the UI does to a sensor."""
    origin = RemoteInstigatorOrigin(REPOSITORY, name)
    state = InstigatorStatus.STOPPED
    instance.add_instigator_state(
        InstigatorState(origin, InstigatorType.SENSOR, state, SensorInstigatorData())
    )


# In the queue, and at work


def test_a_full_instance_keeps_a_run_in_the_queue(ask: Ask, instance: dg.DagsterInstance):
    others = [run(instance, "raw/hand", Status.STARTED) for _ in range(4)]
    run(instance, "raw/hand", Status.QUEUED, dagster__priority="3")
    own = run(instance, "raw/orders", Status.QUEUED, NEWEST, **{"data_platform/cause": "trigger x"})
    found = ask("raw/orders")
    assert (found.answer.state, found.answer.run_id) == ("queued", own)
    assert f"{NEWEST} is in the queue: all 4 runs that may go on at once do (runs" in found.sentence
    assert others[-1][:8] in found.sentence
    assert found.sentence.endswith("started by trigger x.")
    assert "1 run comes before it in the queue" in found.answer.facts


def test_a_limit_of_tags_keeps_a_run_in_the_queue(ask: Ask, instance: dg.DagsterInstance):
    limited = {f"{ACTIVE_RUNS_TAG}shop": "1", "dagster/backfill": "abc"}
    for _ in range(2):
        run(instance, "raw/hand", Status.STARTED, **limited)
    run(instance, "raw/hand", Status.STARTED, **{"dagster/backfill": "another"})
    run(instance, "raw/orders", Status.QUEUED, DAY, NEWEST, **limited)
    found = ask("raw/orders", NEXT_DAY)
    told = " ".join([found.sentence, *found.answer.facts])
    assert "pipeline shop has `max_active_runs: 1` (runs " in told
    assert "2 runs with tag dagster/backfill may go on at once (runs " in told


def test_a_step_waits_for_a_slot_of_its_pool(ask: Ask, instance: dg.DagsterInstance):
    storage = instance.event_log_storage
    storage.set_concurrency_slots("few", 1)
    holder, own = (run(instance, "raw/orders", Status.STARTED, day) for day in (DAY, NEWEST))
    for run_id in (holder, own):
        storage.claim_concurrency_slot("few", run_id, "raw__shop__orders")
    waiting = f"{NEWEST} waits for a slot of pool few: 1 of 1 taken by run {holder[:8]}; run "
    assert ask("raw/orders").sentence.startswith(waiting)
    assert "slot" not in ask("raw/orders", DAY).sentence


def test_a_step_that_is_tried_again_says_when(ask: Ask, instance: dg.DagsterInstance):
    own = run(instance, "staging/orders", Status.STARTED, NEWEST)
    error = SerializableErrorInfo("connection refused\nmore", [], "Failure")
    report(
        instance, own, dg.DagsterEventType.STEP_UP_FOR_RETRY,
        step_key="staging__shop__orders", event_specific_data=StepRetryData(error, 600),
    )  # fmt: skip
    told = ask("staging/orders", now=datetime.now(UTC)).sentence
    assert "failed (connection refused) in try 1, and is tried again in 10 min" in told
    report(instance, own, dg.DagsterEventType.STEP_RESTARTED, step_key="staging__shop__orders")
    assert "tried again" not in ask("staging/orders", now=datetime.now(UTC)).sentence


# What failed, and what tries it again


AGAIN = {
    "raw/orders": "schedule shop_sources, next at 2024-01-12 06:00 CET",
    "raw/files": "a new file: sensor shop_files looks every 30 s",
    "raw/hand": "nothing tries it again: only a person starts it",
    "staging/orders": "it is tried again when an input has other rows",
    "staging/files": "nothing tries it again: it says `enabled: false`",
    "analytics/late": "every quarter of an hour while it is late: 2024-01-11 06:15 UTC",
    "analytics/ticks": "it is tried again at 2024-01-12 07:00 CET, by its cron",
    "analytics/once": "nothing tries it again: each partition is asked for once",
}


def test_a_failure_says_why_and_what_tries_again(ask: Ask, instance: dg.DagsterInstance):
    for name, again in AGAIN.items():
        own = fail(instance, name, "no_duplicates: 3 rows", NEWEST)
        found = ask(name)
        assert found.sentence == (
            f"{NEWEST} failed just now (no_duplicates: 3 rows) in run {own[:8]}."
        )
        assert any(again in fact for fact in found.answer.facts), found.answer.facts


def test_a_failure_is_of_its_partition(ask: Ask, instance: dg.DagsterInstance, project: Project):
    publish(instance, project, "raw/orders", DAY)
    own = fail(instance, "raw/orders", "refused", NEXT_DAY)
    later = fail(instance, "raw/orders", "refused", *DAYS[2:5])
    publish(instance, project, "raw/orders", DAYS[3], run_id=later)
    states = {day: ask("raw/orders", day).answer for day in DAYS[:5]}
    assert [one.state for one in states.values()] == [
        "built",
        "failed",
        "failed",
        "built",
        "failed",
    ]
    assert [states[DAYS[1]].run_id, states[DAYS[2]].run_id] == [own, later]
    publish(instance, project, "raw/orders", NEXT_DAY)
    assert ask("raw/orders", NEXT_DAY).answer.state == "built"


def test_a_process_that_died_is_made_anew(ask: Ask, instance: dg.DagsterInstance):
    own = run(instance, "raw/orders", Status.FAILURE, NEWEST, dagster__will_retry="true")
    found = ask("raw/orders")
    assert (found.answer.state, found.answer.run_id) == ("failed", own)
    assert "Dagster makes that run anew, since its process died" in found.answer.facts


# What is above


def test_what_waits_names_where_it_began(ask: Ask, instance: dg.DagsterInstance):
    own = fail(instance, "raw/orders", "connection refused", NEWEST)
    found = ask("analytics/once")
    assert found.sentence == (
        f"{NEWEST} waits: raw/shop/orders {NEWEST} failed just now (connection refused) "
        f"in run {own[:8]}."
    )
    assert str(found.answer.waits_for) == "raw/shop/orders"
    assert "staging/shop/orders has never been published" in found.answer.facts
    assert found.answer.advice == (f"data-platform why raw/shop/orders {NEWEST}",)


def test_what_an_audit_holds_back_holds_up_what_is_below(
    ask: Ask, instance: dg.DagsterInstance, project: Project
):
    publish(instance, project, "raw/orders", NEWEST)
    fail(instance, "staging/orders", "not_null (id): 2 rows of 10", NEWEST)
    told = ask("analytics/once").sentence
    assert f"waits: staging/shop/orders {NEWEST} failed just now (not_null (id): 2 rows" in told


def test_an_input_in_progress_is_waited_for(
    ask: Ask, instance: dg.DagsterInstance, project: Project
):
    publish(instance, project, "staging/orders", NEWEST)
    assert "never looked at by the automation" in ask("analytics/once").sentence
    again = run(instance, "staging/orders", Status.STARTED, NEWEST)
    told = ask("analytics/once").sentence
    assert told.startswith(f"{NEWEST} waits: staging/shop/orders is in run {again[:8]}, begun")


def test_an_input_that_nothing_starts_is_named(ask: Ask):
    found = ask("analytics/told")
    assert "waits: raw/shop/orders 2024-01-10 has to wait for schedule shop_sources, next at " in (
        found.sentence
    )
    assert "besides, it waits: nobody has told yet of warehouse/rates" in " ".join(
        found.answer.facts
    )


def test_several_reasons_begin_with_the_first_cause(
    ask: Ask, instance: dg.DagsterInstance, project: Project
):
    publish(instance, project, "raw/orders", *DAYS)
    stop(instance, "default_automation_condition_sensor")
    fail(instance, "staging/orders", "refused", DAY)
    found = ask("analytics/once", DAY)
    assert "waits: staging/shop/orders 2024-01-01 failed" in found.sentence
    assert [fact for fact in found.answer.facts if fact.startswith("besides")] == [
        "besides, it isn't started: somebody stopped default_automation_condition_sensor",
        "besides, it is asked for by nothing: only the newest due partition is, 2024-01-10",
    ]


# What starts it, and what doesn't


def test_a_stopped_sensor_and_a_daemon_that_is_gone_are_told(
    ask: Ask, instance: dg.DagsterInstance, project: Project
):
    publish(instance, project, "raw/orders", NEWEST)
    later = datetime.now(UTC) + timedelta(minutes=6)
    lost = "staging/orders", NEWEST, later
    assert "dagster-daemon hasn't been heard of for minutes" in ask(*lost).sentence
    stop(instance, "default_automation_condition_sensor")
    found = ask("staging/orders")
    assert found.answer.state == "paused"
    assert "somebody stopped default_automation_condition_sensor" in found.sentence
    assert ask("raw/orders", DAY).answer.state != "paused"
    stop(instance, "shop_sources")
    assert "somebody stopped shop_sources" in ask("raw/orders", DAYS[8]).sentence


ASKED_BY = {
    "raw/orders": (
        "schedule shop_sources, next at 2024-01-12 06:00 CET (0 6 * * *, Europe/",
        "12T06",
    ),
    "raw/files": ("a new file: sensor shop_files looks every 30 s", "12T06"),
    "analytics/ticks": ("its cron, next at 2024-01-11 07:00 CET (0 7 * * *, Europe/", "11T07"),
    "analytics/late": ("before the deadline 2024-01-11 09:00 CET: from 2024-01-11 07:00", "11T07"),
    "analytics/once": ("its automation, once its newest partition is due", None),
}


def test_what_was_never_asked_for_says_what_would(
    ask: Ask, instance: dg.DagsterInstance, project: Project
):
    publish(instance, project, "staging/orders", NEWEST)
    # Berlin is an hour ahead: the deadline's window hasn't begun.
    at = NOW - timedelta(minutes=30)
    for name, (words, next_at) in ASKED_BY.items():
        found = ask(name, now=at)
        assert found.answer.state == "waits"
        assert words in " ".join([found.sentence, *found.answer.facts])
        told = found.answer.next_at.isoformat() if found.answer.next_at else None
        assert told == (f"2024-01-{next_at}:00:00+01:00" if next_at else None)


def test_what_only_a_person_starts_says_so(ask: Ask):
    disabled, manual = ask("staging/files"), ask("raw/hand")
    assert disabled.answer.state == manual.answer.state == "not started"
    assert "is started by nothing: it says `enabled: false`, at " in disabled.sentence
    assert "is started by nobody but a person: its automation is `manual`" in manual.sentence


def test_history_is_filled_by_a_person(ask: Ask):
    found = ask("raw/orders", DAY)
    assert found.answer.state == "not started"
    assert "only the newest due partition is, 2024-01-10" in found.sentence
    assert found.answer.advice == (
        "data-platform run shop --select raw/orders --partition 2024-01-01",
    )


def test_a_partition_that_is_not_over_says_when_it_is(ask: Ask):
    found = ask("raw/orders", "2024-01-11")
    assert found.sentence == "2024-01-11 isn't due: it ends at 2024-01-12 00:00 UTC."
    assert found.answer.next_at == datetime(2024, 1, 12, tzinfo=UTC)
    before = ask("raw/orders", None, datetime(2024, 1, 1, 12, tzinfo=UTC))
    assert "nothing of it is; the first one ends at 2024-01-02 00:00 UTC" in before.sentence


def test_what_is_no_partition_is_refused(plan: Plan):
    for text, words in {
        "2023-12-31": "partitions are days from 2024-01-01 on",
        "2024-1-05": r"partitions are days from 2024-01-01 on; did you mean 2024-01-05\?",
        "": "has no partition ''",
    }.items():
        with pytest.raises(PermanentError, match=words):
            check_partition(plan.nodes[0], text, (), NOW)


# What was built


def test_a_build_names_who_started_it_and_what_was_new(
    ask: Ask, instance: dg.DagsterInstance, project: Project
):
    publish(instance, project, "raw/orders", NEWEST)
    publish(instance, project, "staging/orders", NEWEST)
    instance.report_runless_asset_event(
        dg.AssetMaterialization(
            external_key("warehouse/rates"), metadata={"told_by": "webhook", "batch": 17}
        )
    )
    tags = {"data_platform/cause": "automation: eager"}
    own = run(instance, "analytics/told", Status.SUCCESS, NEWEST, **tags)
    publish(instance, project, "analytics/told", NEWEST, run_id=own)
    found = ask("analytics/told")
    assert found.sentence.endswith(f"in run {own[:8]}, started by automation: eager.")
    assert "new was warehouse/rates, told just now (told_by: webhook, batch: 17)" in (
        found.answer.facts
    )
    assert f"new was staging/shop/orders {NEWEST}, of just now" in found.answer.facts


def test_who_started_a_run_is_named(ask: Ask, instance: dg.DagsterInstance, project: Project):
    for words, tags in {
        "backfill 3f9a1c20": {"data_platform/cause": "backfill 3f9a1c20"},
        "backfill abcd": {"dagster/backfill": "abcd", "user": "ada"},
        "ada in Dagster's UI": {"user": "ada"},
        "data-platform run": {"data_platform/origin": "command"},
        "schedule shop_sources": {"dagster/schedule_name": "shop_sources"},
        "again, after run 1234": {"dagster/parent_run_id": "1234"},
    }.items():
        own = run(instance, "raw/orders", Status.SUCCESS, NEWEST, **tags)
        publish(instance, project, "raw/orders", NEWEST, run_id=own)
        assert ask("raw/orders").sentence.endswith(f"started by {words}.")
