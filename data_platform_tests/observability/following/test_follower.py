from contextlib import closing

import psycopg2
import pytest
import sqlalchemy as sa
from dagster import AssetKey, AssetMaterialization, DagsterEventType, DagsterInstance

from data_platform.instance.own_tables import Tables
from data_platform.observability.following.follower import Batch, Follower

MATERIALIZATIONS = {DagsterEventType.ASSET_MATERIALIZATION}
NOTES = Tables("notes", ("CREATE TABLE data_platform_notes (number bigint PRIMARY KEY)",))


@pytest.fixture
def follower(instance: DagsterInstance) -> Follower:
    """One that has begun."""
    follower = Follower("test", MATERIALIZATIONS, (NOTES,))
    assert _told(follower, instance) == []
    return follower


def test_the_past_is_not_told(instance: DagsterInstance):
    _materialize(instance, "before")
    follower = Follower("late", MATERIALIZATIONS)
    assert _told(follower, instance) == []
    _materialize(instance, "since")
    assert _told(follower, instance) == ["since"]


def test_each_event_is_told_once(instance: DagsterInstance, follower: Follower):
    _materialize(instance, "a", "b")
    assert _told(follower, instance) == ["a", "b"]
    assert _told(follower, instance) == []
    _materialize(instance, "c")
    assert _told(follower, instance) == ["c"]


def test_followers_are_apart(instance: DagsterInstance, follower: Follower):
    other = Follower("other", MATERIALIZATIONS)
    assert _told(other, instance) == []
    _materialize(instance, "a")
    assert _told(follower, instance) == ["a"]
    assert _told(other, instance) == ["a"]


def test_other_kinds_are_passed_by(instance: DagsterInstance):
    follower = Follower("checks", {DagsterEventType.ASSET_CHECK_EVALUATION})
    _told(follower, instance)
    _materialize(instance, "a")
    assert _told(follower, instance) == []


def test_a_long_log_comes_in_parts(instance: DagsterInstance, follower: Follower):
    _materialize(instance, *"abcde")
    with follower.batch(instance, limit=2) as batch:
        assert batch is not None
        assert batch.more
        assert _names(batch) == ["a", "b"]
    assert _told(follower, instance) == ["c", "d", "e"]


def test_an_event_that_is_committed_after_later_ones_is_told(
    instance: DagsterInstance, follower: Follower, dagster_url: str
):
    _materialize(instance, "first")
    with closing(psycopg2.connect(dagster_url)) as slow, slow.cursor() as cursor:
        cursor.execute(
            "INSERT INTO event_logs (run_id, event, dagster_event_type, timestamp, asset_key)"
            " SELECT run_id, event, dagster_event_type, timestamp, asset_key FROM event_logs"
            " ORDER BY id DESC LIMIT 1"
        )
        _materialize(instance, "second")
        assert _told(follower, instance) == ["first", "second"]
        slow.commit()
    assert _told(follower, instance) == ["first"]
    assert _told(follower, instance) == []


def test_what_fails_is_told_again_and_leaves_nothing(instance: DagsterInstance, follower: Follower):
    _materialize(instance, "a")
    with pytest.raises(RuntimeError, match="broke"):
        _break_off(follower, instance)
    with follower.batch(instance) as batch:
        assert batch is not None
        assert _names(batch) == ["a"]
        assert batch.state == {}
        count = batch.connection.scalar(sa.text("SELECT count(*) FROM data_platform_notes"))
        assert count == 0


def test_what_it_remembers_is_kept(instance: DagsterInstance, follower: Follower):
    with follower.batch(instance) as batch:
        assert batch is not None
        batch.state["open"] = ["ä", 1]
    with follower.batch(instance) as batch:
        assert batch is not None
        assert batch.state == {"open": ["ä", 1]}


def test_only_one_process_is_at_a_batch(instance: DagsterInstance, follower: Follower):
    _materialize(instance, "a")
    with follower.batch(instance) as batch:
        assert batch is not None
        with follower.batch(instance) as other:
            assert other is None
    assert _told(follower, instance) == []


def test_tables_are_added_to_by_steps(instance: DagsterInstance, follower: Follower):
    newer = Tables("notes", (*NOTES.steps, "ALTER TABLE data_platform_notes ADD COLUMN text text"))
    for _ in range(2):
        with Follower("test", MATERIALIZATIONS, (newer,)).batch(instance) as batch:
            assert batch is not None
            batch.connection.execute(sa.text("SELECT text FROM data_platform_notes"))
    assert _told(follower, instance) == []


def _break_off(follower: Follower, instance: DagsterInstance) -> None:
    with follower.batch(instance) as batch:
        assert batch is not None
        batch.state["told"] = 1
        batch.connection.execute(sa.text("INSERT INTO data_platform_notes VALUES (1)"))
        raise RuntimeError("broke")


def _materialize(instance: DagsterInstance, *names: str) -> None:
    for name in names:
        instance.report_runless_asset_event(AssetMaterialization(AssetKey([name])))


def _told(follower: Follower, instance: DagsterInstance) -> list[str]:
    with follower.batch(instance) as batch:
        assert batch is not None
        assert not batch.more
        return _names(batch)


def _names(batch: Batch) -> list[str]:
    keys = [one.event.asset_key for one in batch.events]
    return [key.to_user_string() for key in keys if key]
