"""What is told, as stories: one message a cause, none twice, and one when it is over."""

from datetime import timedelta
from random import Random

import pytest
from factories import DAY, NEXT_DAY, Project
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from incident_stories import CLEAN, HOURS, RAW, Story, below, chain

from data_platform.observability.incidents.folding import GRACE
from data_platform.observability.incidents.model import KEPT, Incident, severity_of
from data_platform.observability.incidents.seen import Seen
from data_platform.observability.incidents.telling import QUIET
from data_platform.plan.keys import Key
from data_platform.plan.pipelines import Plan

LENGTH = 200


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    """A chain of 200 assets below a source."""
    return chain(Project(tmp_path_factory.mktemp("chain")), LENGTH)


@pytest.fixture
def story(plan: Plan) -> Story:
    return Story(plan)


def test_one_failure_with_200_stale_below_it_is_one_message_and_one_when_it_is_over(story: Story):
    keys = [CLEAN, *map(below, range(LENGTH))]
    story.tick(story.failed(RAW, skipped=keys[:20]))
    story.tick(*(story.aged(key) for key in keys[:50]))
    [told] = story.told
    assert (told.turn, told.incident.name) == ("opened", "raw/shop/orders")
    assert {key: one.how for key, one in told.incident.held_up.items()} == (
        dict.fromkeys(keys[:20], "skipped") | dict.fromkeys(keys[20:50], "stale")
    )
    story.tick(*(story.aged(key) for key in keys[50:]), after=1 * HOURS)
    assert story.quiet() == []
    [repeated] = story.tick(after=3 * HOURS)
    assert repeated.turn == "repeated"
    assert set(repeated.incident.held_up) == set(keys)
    story.tick(story.built(RAW))
    story.tick(*(story.aged(key, "pass") for key in keys))
    assert story.quiet() == []
    assert [turn for turn, _ in story.turns] == ["opened", "repeated", "recovered"]
    assert set(story.told[-1].incident.behind) == set(map(str, keys))
    assert story.open == []


def test_a_cause_that_comes_a_tick_later_is_the_one_that_is_told(story: Story):
    story.tick(story.aged(below(5)), story.aged(below(6)))
    story.tick(story.failed(RAW))
    story.quiet()
    assert story.turns == [("opened", "raw/shop/orders")]


def test_what_is_stale_without_a_cause_is_told_once_for_all_that_is_below_it(story: Story):
    story.tick(*(story.aged(below(number)) for number in (9, 3, 5)))
    [told] = story.quiet()
    assert (told.turn, told.incident.name) == ("opened", "analytics/shop/a3")
    assert set(told.incident.held_up) == {below(5), below(9)}
    story.tick(story.aged(below(3), "pass"), story.aged(below(5), "pass"))
    assert story.turns[1:] == [("recovered", "analytics/shop/a3")]


def test_what_stays_stale_when_its_cause_is_over_is_told_after_a_while(story: Story):
    story.tick(story.failed(RAW))
    story.tick(story.aged(below(1)), story.aged(below(2)))
    story.tick(story.built(RAW))
    story.tick(after=GRACE - timedelta(minutes=1))
    assert len(story.told) == 2
    story.tick(after=timedelta(minutes=2))
    assert story.turns[2:] == [("opened", "analytics/shop/a1")]
    assert set(story.told[2].incident.held_up) == {below(2)}


def test_what_fails_by_itself_below_a_failure_is_told(story: Story):
    story.tick(story.failed(RAW), story.aged(below(1)))
    story.quiet()
    story.tick(story.failed(below(1)))
    story.quiet()
    assert story.turns == [("opened", "raw/shop/orders"), ("opened", "analytics/shop/a1")]


def test_a_check_that_fails_its_step_and_makes_it_stale_is_one_message(story: Story):
    story.tick(story.checked(CLEAN, "fail"), story.failed(CLEAN), story.aged(CLEAN))
    [told] = story.quiet()
    assert told.incident.events == ("check_failed", "failure", "stale")
    story.tick(story.checked(CLEAN, "pass"))
    story.tick(story.built(CLEAN))
    assert story.told[1:] == []
    story.tick(story.aged(CLEAN, "pass"))
    assert story.turns[1:] == [("recovered", "staging/shop/orders")]


def test_only_the_partitions_that_failed_mend_a_failure(story: Story):
    story.tick(story.failed(RAW, partitions=[DAY, NEXT_DAY]))
    story.quiet()
    story.tick(story.built(RAW, "2024-01-03"), story.built(RAW, DAY))
    assert len(story.told) == 1
    [incident] = story.open
    assert list(incident.signs["failure"].parts) == [NEXT_DAY]
    story.tick(story.built(RAW, NEXT_DAY))
    assert story.turns[1:] == [("recovered", "raw/shop/orders")]


def test_nobody_hears_of_what_passes_at_once(story: Story):
    story.tick(story.failed(RAW), story.built(RAW))
    story.tick(story.failed(RAW))
    story.tick(story.built(RAW), after=timedelta(seconds=5))
    story.quiet()
    assert story.told == []
    assert story.open == []


def test_what_is_wrong_is_told_again_after_repeat_after_and_not_before(story: Story):
    story.tick(story.failed(RAW))
    story.quiet(1)
    for _ in range(7):
        story.tick(story.failed(RAW), after=timedelta(minutes=30))
    assert len(story.told) == 1
    story.tick(after=timedelta(minutes=30))
    assert [turn for turn, _ in story.turns] == ["opened", "repeated"]


def test_what_gets_worse_is_told_at_once(story: Story):
    story.tick(story.aged(RAW, "warn"))
    story.quiet()
    story.tick(story.aged(RAW))
    assert [turn for turn, _ in story.turns] == ["opened", "worse"]
    story.tick(story.failed(RAW))
    story.tick(story.aged(RAW, "warn"))
    assert len(story.told) == 2


def test_what_comes_and_goes_is_told_three_times_and_then_when_it_stays_away(story: Story):
    for _ in range(10):
        story.tick(story.failed(RAW), after=timedelta(minutes=2))
        story.quiet(1)
        story.tick(story.built(RAW), after=timedelta(minutes=2))
    turns = ["opened", "recovered"] * 2 + ["opened"]
    assert [turn for turn, _ in story.turns] == turns
    assert story.told[-1].incident.times == 3
    story.tick(after=QUIET)
    assert [turn for turn, _ in story.turns] == [*turns, "recovered"]


def test_rows_held_back_are_told_again_only_when_more_come(story: Story):
    story.tick(story.built(CLEAN, DAY, held=3))
    [told] = story.quiet()
    assert told.incident.events == ("quarantined",)
    assert severity_of(told.incident, story.plan) == "warning"
    story.tick(story.built(CLEAN, NEXT_DAY, held=0), after=9 * HOURS)
    assert story.quiet() == []
    [again] = story.tick(story.built(CLEAN, "2024-01-03", held=2))
    assert again.turn == "repeated"
    assert {key: one.rows for key, one in again.incident.signs["held"].parts.items()} == {
        DAY: 3,
        "2024-01-03": 2,
    }
    story.tick(story.built(CLEAN, DAY, held=0))
    assert len(story.told) == 2
    story.tick(story.built(CLEAN, "2024-01-03", held=0))
    assert story.turns[2:] == [("recovered", "staging/shop/orders")]


def test_a_check_that_warns_leaves_its_asset_good_and_is_apart(story: Story):
    story.tick(story.checked(RAW, "warn"), story.aged(below(1)))
    story.quiet()
    assert story.turns == [("opened", "raw/shop/orders"), ("opened", "analytics/shop/a1")]
    assert [one.matter for one in story.open] == ["warned", "trouble"]
    story.tick(story.checked(RAW, "fail"))
    story.quiet()
    assert ("recovered", "raw/shop/orders") in story.turns
    assert story.turns[-1] == ("opened", "raw/shop/orders")


def test_a_source_whose_last_good_version_stands_is_a_cause(story: Story):
    story.tick(story.checked(RAW, "warn", "last_good"), story.aged(below(1)))
    [told] = story.quiet()
    assert told.incident.name == "raw/shop/orders"
    assert set(told.incident.held_up) == {below(1)}


def test_a_budget_is_an_event_of_its_own(story: Story):
    story.tick(story.checked(RAW, "fail", "budget"))
    [told] = story.quiet()
    assert told.incident.events == ("over_budget",)
    story.tick(story.checked(RAW, "pass", "budget"))
    assert story.turns[1:] == [("recovered", "raw/shop/orders")]


def test_assets_that_fail_since_one_system_is_down_are_one_message(story: Story):
    for number in (1, 2, 3):
        story.tick(story.failed(below(number), system="shop"))
    assert story.turns == [("opened", "analytics/shop/a1")]
    assert story.quiet() == []
    [incident] = [one for one in story.open if one.told_at]
    assert {key: one.how for key, one in incident.held_up.items()} == {
        below(2): "failed",
        below(3): "failed",
    }
    story.tick(*(story.built(below(number)) for number in (1, 2, 3)))
    assert story.quiet() == []
    assert story.turns[1:] == [("recovered", "analytics/shop/a1")]


def test_pipelines_and_the_daemon_are_told_and_recover(story: Story):
    story.tick(story.standing("pipeline", sales="1 mistake"), story.standing("daemon"))
    story.quiet()
    story.tick(story.standing("pipeline"), story.standing("daemon", daemon="gone"))
    story.quiet()
    story.tick(story.standing("daemon"))
    assert story.turns == [
        ("opened", "sales"),
        ("recovered", "sales"),
        ("opened", "daemon"),
        ("recovered", "daemon"),
    ]


def test_what_got_late_while_nothing_was_started_has_time_to_come(story: Story):
    story.tick(story.standing("daemon", daemon="gone"))
    story.quiet()
    story.tick(story.standing("daemon"), story.aged(below(1)), story.aged(below(7)))
    story.tick(story.aged(below(1), "pass"), after=GRACE / 2)
    story.tick(after=GRACE)
    assert story.turns[2:] == [("opened", "analytics/shop/a7")]


def test_what_was_removed_is_over_unless_its_pipeline_is_broken(plan: Plan):
    story = Story(plan)
    story.tick(story.failed(Key("raw", "gone", "orders")), story.failed(RAW))
    story.quiet()
    assert story.turns == [("opened", "raw/shop/orders")]
    story.plan = Plan(())
    story.quiet()
    assert story.turns[1:] == [("recovered", "raw/shop/orders")]


@pytest.mark.parametrize(
    ("criticality", "severities"),
    [
        ("critical", ["critical", "warning"]),
        ("high", ["error", "warning"]),
        ("low", ["warning", "warning"]),
    ],
)
def test_severity_is_lifted_by_how_critical_an_asset_is(
    criticality: str, severities: list[str], project: Project
):
    story = Story(chain(project, 1, f"criticality: {criticality}\n"))
    story.tick(story.failed(RAW), story.checked(RAW, "warn"))
    story.quiet()
    assert [severity_of(told.incident, story.plan) for told in story.told] == severities


def test_a_run_that_somebody_ended_is_a_warning(story: Story):
    story.tick(story.failed(RAW, canceled=True))
    [told] = story.quiet()
    assert severity_of(told.incident, story.plan) == "warning"


def test_incidents_are_kept_as_they_are(story: Story):
    story.tick(story.checked(CLEAN, "fail"), story.failed(CLEAN, partitions=["ä"]))
    story.tick(story.aged(below(1)))
    for incident in story.incidents.values():
        assert KEPT.validate_json(KEPT.dump_json(incident)) == incident


EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["failed", "built", "stale", "fresh", "broken", "sound"]),
        st.integers(-1, 4),
    ),
    max_size=12,
)


@settings(max_examples=60, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(EVENTS, st.randoms(use_true_random=False), st.integers(0, 12))
def test_incidents_depend_on_what_happened_not_on_the_order_in_which_it_is_seen_nor_on_ticks(
    plan: Plan, events: list[tuple[str, int]], random: Random, cut: int
):
    def told(parts: list[int]) -> set[tuple[str, tuple[str, ...], str | None]]:
        story = Story(plan)
        seen = [_seen(story, what, number) for what, number in events]
        start = 0
        for end in [*parts, len(seen)]:
            some = seen[start:end]
            random.shuffle(some)
            story.tick(*some)
            start = max(start, end)
        story.tick(after=QUIET)
        story.tick(after=GRACE)
        return {(one.name, tuple(sorted(one.signs)), _top(story, one)) for one in story.open}

    whole = told([])
    assert told([cut]) == whole
    assert told(sorted({cut // 3, cut // 2, cut})) == whole


def _top(story: Story, incident: Incident) -> str | None:
    return story.incidents[incident.under].name if incident.under else None


def _seen(story: Story, what: str, number: int) -> Seen:
    key = RAW if number < 0 else below(number)
    match what:
        case "failed":
            return story.failed(key)
        case "built":
            return story.built(key)
        case "stale" | "fresh":
            return story.aged(key, "fail" if what == "stale" else "pass")
        case _:
            return story.checked(key, "fail" if what == "broken" else "pass")
