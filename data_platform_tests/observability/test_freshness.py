"""When an asset is fresh, by a clock that the tests set."""

from datetime import UTC, date, datetime, timedelta

import pytest
from days import daily

from data_platform.plan.freshness import Judgement, Published, lag_of
from data_platform.plan.freshness import judge_freshness as judge
from data_platform.plan.partitions import Partitions
from data_platform.spec.automation import Freshness

DAILY = daily(date(2024, 1, 1), None, "UTC")
ENDED = daily(date(2024, 1, 1), date(2024, 1, 6), "UTC")
WINDOW = Freshness.model_validate({"warn_after": "6h", "fail_after": "8h"})
FAIL_ONLY = Freshness.model_validate({"fail_after": "8h"})
NINE = Freshness.model_validate({"deadline": "0 9 * * *", "within": "2h"})
NINE_IN_BERLIN = Freshness.model_validate(
    {"deadline": "0 9 * * *", "within": "2h", "timezone": "Europe/Berlin"}
)


def judge_freshness(
    policy: Freshness | None,
    partitions: Partitions | None,
    newest: str | None,
    published_at: datetime | None,
    now: datetime,
) -> Judgement:
    return judge(policy, partitions, Published(published_at, newest), now)


def at(day: int, hour: int = 0, minute: int = 0) -> datetime:
    return datetime(2024, 1, day, hour, minute, tzinfo=UTC)


def test_nobody_asked_is_none():
    assert judge_freshness(None, DAILY, None, None, at(5)).state == "none"


@pytest.mark.parametrize(
    ("hour", "state"),
    [(0, "pass"), (6, "pass"), (7, "warn"), (8, "warn"), (9, "fail"), (23, "fail")],
)
def test_the_clock_of_a_partition_starts_at_its_end(hour: int, state: str):
    """The partition of the 4th lacks; it became due at midnight of the 5th."""
    assert judge_freshness(WINDOW, DAILY, "2024-01-03", at(4, 1), at(5, hour)).state == state


def test_the_lag_is_what_is_held_against_the_limit():
    assert lag_of(DAILY, Published(at(4, 1), "2024-01-03"), at(5, 7)) == timedelta(hours=7)
    assert lag_of(DAILY, Published(at(5, 1), "2024-01-04"), at(5, 7)) == timedelta(0)
    assert lag_of(None, Published(at(4, 1)), at(5, 7)) == timedelta(hours=30)
    assert lag_of(None, Published(), at(5, 7)) is None


def test_the_newest_due_partition_is_all_that_is_asked():
    assert judge_freshness(WINDOW, DAILY, "2024-01-04", at(5, 1), at(5, 23)).state == "pass"


def test_a_partition_that_lacks_since_yesterday_does_not_become_fresh_at_midnight():
    """At 01:00 the newest due partition is an hour old, but the one before it lacks too."""
    judged = judge_freshness(WINDOW, DAILY, "2024-01-03", at(4, 1), at(6, 1))
    assert judged.state == "fail"
    assert judged.reason == "2024-01-04 was due 25h ago, later than 8h"


def test_without_a_warning_there_is_none():
    assert judge_freshness(FAIL_ONLY, DAILY, "2024-01-03", None, at(5, 7)).state == "pass"


def test_before_anything_is_due_all_is_fresh():
    assert judge_freshness(WINDOW, DAILY, None, None, at(1, 23)).state == "pass"


def test_nothing_published_fails_once_the_first_partition_is_late():
    assert judge_freshness(WINDOW, DAILY, None, None, at(2, 7)).state == "warn"
    assert judge_freshness(WINDOW, DAILY, None, None, at(2, 9)).state == "fail"


def test_an_ended_pipeline_with_its_last_partition_is_fresh_for_ever():
    years = datetime(2034, 1, 1, tzinfo=UTC)
    assert judge_freshness(WINDOW, ENDED, "2024-01-05", at(6), years).state == "pass"
    assert judge_freshness(NINE, ENDED, "2024-01-05", at(6), years).state == "pass"


def test_an_ended_pipeline_without_its_last_partition_fails():
    assert judge_freshness(WINDOW, ENDED, "2024-01-04", at(6), at(10)).state == "fail"


def test_a_partition_that_is_not_due_yet_is_fresh():
    assert judge_freshness(WINDOW, DAILY, "2024-01-05", at(5, 3), at(5, 23)).state == "pass"


def test_days_end_where_the_partitions_are():
    berlin = daily(date(2024, 1, 1), None, "Europe/Berlin")
    # The 4th ended at 23:00 UTC.
    assert judge_freshness(FAIL_ONLY, berlin, "2024-01-03", None, at(5, 7, 1)).state == "fail"
    assert judge_freshness(FAIL_ONLY, berlin, "2024-01-03", None, at(5, 6, 59)).state == "pass"


@pytest.mark.parametrize(
    ("age", "state"),
    [
        (timedelta(hours=6), "pass"),
        (timedelta(hours=6, seconds=1), "warn"),
        (timedelta(hours=8), "warn"),
        (timedelta(hours=8, seconds=1), "fail"),
    ],
)
def test_without_partitions_the_clock_starts_at_the_last_publication(age: timedelta, state: str):
    assert judge_freshness(WINDOW, None, None, at(5) - age, at(5)).state == state


def test_never_published_fails():
    judged = judge_freshness(WINDOW, None, None, None, at(5))
    assert (judged.state, judged.reason) == ("fail", "never published")


@pytest.mark.parametrize(
    ("built", "now", "state"),
    [
        (at(5, 7), at(5, 9), "pass"),  # as early as allowed, at the deadline itself
        (at(5, 6, 59), at(5, 9), "fail"),  # too early for today
        (at(5, 6, 59), at(5, 8, 59), "pass"),  # early for today, late for yesterday: it is there
        (at(4, 8), at(5, 8, 59), "pass"),  # today's deadline hasn't come
        (at(4, 8), at(5, 9), "fail"),
        (at(5, 11), at(5, 12), "pass"),  # late, but there
    ],
)
def test_a_deadline_asks_for_a_build_shortly_before_it(built: datetime, now: datetime, state: str):
    assert judge_freshness(NINE, None, None, built, now).state == state


def test_a_deadline_is_in_its_own_zone():
    # 9:00 in Berlin is 8:00 UTC.
    assert judge_freshness(NINE_IN_BERLIN, None, None, at(4, 8), at(5, 8)).state == "fail"
    assert judge_freshness(NINE_IN_BERLIN, None, None, at(4, 8), at(5, 7, 59)).state == "pass"


def test_a_deadline_keeps_its_hour_when_clocks_change():
    """On 31 March 2024 Berlin went to summer time: 9:00 is 7:00 UTC from then on."""
    built = datetime(2024, 3, 31, 5, 0, tzinfo=UTC)
    now, early = built + timedelta(hours=2), built - timedelta(minutes=1)
    assert judge_freshness(NINE_IN_BERLIN, None, None, built, now).state == "pass"
    assert judge_freshness(NINE_IN_BERLIN, None, None, early, now).state == "fail"


def test_a_deadline_asks_for_the_partition_that_was_due_then():
    assert judge_freshness(NINE, DAILY, "2024-01-03", at(4, 8), at(5, 8, 59)).state == "pass"
    judged = judge_freshness(NINE, DAILY, "2024-01-03", at(4, 8), at(5, 9))
    assert judged.state == "fail"
    assert judged.reason == "2024-01-04 was to be there by 2024-01-05 09:00 UTC"
    assert judge_freshness(NINE, DAILY, "2024-01-04", at(5, 1), at(5, 9)).state == "pass"


def test_a_deadline_before_anything_was_due_is_kept():
    assert judge_freshness(NINE, DAILY, None, None, at(1, 10)).state == "pass"
