"""The delay of each try, as the language promises it."""

from datetime import timedelta

import pytest

from data_platform.plan.retrying import (
    delay_before,
    in_words,
    retries_in_words,
    tries_after_the_first,
)
from data_platform.spec.asset import Retries


def retries(**written: object) -> Retries:
    return Retries.model_validate({"jitter": False, **written})


def delays(written: Retries, most: int = 6) -> list[float]:
    return [delay_before(written, number) for number in range(1, most + 1)]


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ({"delay": "10s", "backoff": "constant"}, [10, 10, 10, 10, 10, 10]),
        ({"delay": "10s", "backoff": "linear"}, [10, 20, 30, 40, 50, 60]),
        ({"delay": "10s", "backoff": "exponential"}, [10, 20, 40, 80, 160, 320]),
        ({"delay": "10s", "max_delay": "1m"}, [10, 20, 40, 60, 60, 60]),
        ({"delay": "10s", "backoff": "linear", "max_delay": "25s"}, [10, 20, 25, 25, 25, 25]),
        ({"delay": "5m", "max_delay": "1m", "backoff": "constant"}, [60] * 6),
        ({"delays": ["60s", "5m", "30m"]}, [60, 300, 1800, 1800, 1800, 1800]),
        ({"delay": "0s"}, [0] * 6),
    ],
)
def test_delays_grow_as_written_up_to_their_cap(
    written: dict[str, object], expected: list[float]
) -> None:
    assert delays(retries(**written)) == expected


def test_nothing_overflows_after_many_tries() -> None:
    assert delay_before(retries(attempts=100_000), 100_000) == timedelta(hours=1).total_seconds()


@pytest.mark.parametrize(("chance", "expected"), [(0.0, 60.0), (0.5, 45.0), (1.0, 30.0)])
def test_chance_only_shortens_and_by_a_half_at_most(chance: float, expected: float) -> None:
    for written in ({"delay": "60s"}, {"delays": ["60s"]}, {"delay": "2m", "max_delay": "1m"}):
        assert delay_before(retries(jitter=True, **written), 1, chance) == expected
        assert delay_before(retries(**written), 1, chance) == 60


@pytest.mark.parametrize(
    ("written", "expected"),
    [({}, 3), ({"attempts": 0}, 0), ({"attempts": 7}, 7), ({"delays": ["1s", "2s"]}, 2)],
)
def test_a_list_says_how_many_tries_there_are(written: dict[str, object], expected: int) -> None:
    assert tries_after_the_first(retries(**written)) == expected


def test_nobody_retries_where_nothing_is_said() -> None:
    assert tries_after_the_first(None) == 0
    assert retries_in_words(None) is None
    assert retries_in_words(retries(attempts=0)) is None


def test_words_say_how_often_and_when() -> None:
    assert retries_in_words(retries()) == "3 tries more, after 30 s, 1 min, 2 min"
    assert retries_in_words(retries(delays=["90s"])) == "1 try more, after 90 s"
    many = retries(attempts=9, delay="1h", backoff="constant", jitter=True)
    assert retries_in_words(many) == (
        "9 tries more, after 1 h, 1 h, 1 h, 1 h, 1 h and so on, or up to a half earlier"
    )


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 s"), (2.5, "2.5 s"), (60, "1 min"), (90, "90 s"), (150, "2.5 min"), (7200, "2 h")],
)
def test_durations_read_well(seconds: float, words: str) -> None:
    assert in_words(seconds) == words
