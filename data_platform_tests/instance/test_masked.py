"""What Dagster's database keeps is without secrets, and still what Dagster reads."""

import dagster as dg
import pytest
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.events.log import EventLogEntry
from dagster._core.scheduler.instigation import TickData, TickStatus
from dagster_shared.error import SerializableErrorInfo
from sqlalchemy import text

from data_platform.instance.masked import masked, masked_text
from data_platform.instance.own_tables import Tables, transaction
from data_platform.secrets import masker
from data_platform.secrets.masker import Masker

SECRET = "s3cr3t-of-orders"


@pytest.fixture(autouse=True)
def _known_secret() -> None:
    masker.know(SECRET)


def failing_job() -> dg.JobDefinition:
    """A run that shows a secret in all that it can."""

    @dg.asset(check_specs=[dg.AssetCheckSpec("rows", asset="orders")])
    def orders(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        context.log.info("connecting with %s", SECRET)
        return dg.MaterializeResult(
            metadata={
                "preview": dg.MetadataValue.md(f"| {SECRET} |"),
                "url": f"postgresql://u:{SECRET}@h/d",
                "rows": 3,
            },
            check_results=[
                dg.AssetCheckResult(check_name="rows", passed=False, description=f"saw {SECRET}")
            ],
        )

    @dg.asset(deps=[orders])
    def broken() -> None:
        try:
            int(f"no route: {SECRET}")
        except ValueError as error:
            raise RuntimeError("could not connect") from error

    return dg.Definitions(assets=[orders, broken]).resolve_implicit_global_asset_job_def()


def everything(instance: dg.DagsterInstance) -> str:
    """All tables of the database, as text."""
    with transaction(instance, Tables("masked_test", ())) as connection:
        names = connection.scalars(
            text("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        ).all()
        return "\n".join(
            row
            for name in names
            for row in connection.scalars(text(f'SELECT t::text FROM "{name}" t')).all()
        )


def test_no_table_has_a_secret_that_a_run_shows(instance: dg.DagsterInstance) -> None:
    result = failing_job().execute_in_process(instance=instance, raise_on_error=False)

    assert not result.success
    kept = everything(instance)
    assert "could not connect" in kept
    assert "'no route: ***'" in kept.replace("''", "'")
    assert "saw ***" in kept
    assert SECRET not in kept


def test_without_a_masker_the_same_search_finds_it(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(masker, "_masker", Masker())

    failing_job().execute_in_process(instance=instance, raise_on_error=False)

    assert SECRET in everything(instance)


def test_dagster_reads_what_was_masked(instance: dg.DagsterInstance) -> None:
    failing_job().execute_in_process(instance=instance, raise_on_error=False)

    event = instance.get_latest_materialization_event(dg.AssetKey("orders"))
    assert event
    assert event.asset_materialization
    assert event.asset_materialization.metadata["preview"].value == "| *** |"
    assert event.asset_materialization.metadata["rows"].value == 3


def test_names_stay_where_they_are_spelled_as_a_secret() -> None:
    entry = EventLogEntry(
        error_info=None,
        level=20,
        user_message=f"about {SECRET}",
        run_id=SECRET,
        timestamp=1.0,
        step_key=SECRET,
        job_name=SECRET,
    )

    safe = masked(entry)

    assert safe == entry._replace(user_message="about ***")


def test_what_holds_no_secret_is_the_very_same() -> None:
    error = SerializableErrorInfo("password: must be set", [], "PermanentError")

    assert masked(error) is error
    assert masked_text('{"text": "plain"}') == '{"text": "plain"}'


def test_a_tick_is_kept_without_what_its_error_quotes(instance: dg.DagsterInstance) -> None:
    cause = SerializableErrorInfo(f"refused {SECRET}", [f"line {SECRET}"], "E")
    tick = instance.create_tick(
        TickData("origin", "sensor", InstigatorType.SENSOR, TickStatus.STARTED, 1.0)
    )

    instance.update_tick(
        tick.with_status(
            TickStatus.FAILURE, error=SerializableErrorInfo("failed", [], "E", cause=cause)
        )
    )

    (kept,) = instance.get_ticks("origin", "selector")
    assert kept.error
    assert kept.error.cause
    assert kept.error.cause.message == "refused ***"
    assert kept.error.cause.stack == ["line ***"]
