"""When a step that failed in passing is tried again.

Asked by `reporting.tries`. Dagster's own policy knows no longest delay and no list of delays.
"""

from data_platform.spec.asset import Retries

MAX_DOUBLINGS = 40
"""After which any delay is longer than a life."""


def tries_after_the_first(retries: Retries | None) -> int:
    """How often a step is tried again."""
    if retries is None:
        return 0
    return retries.attempts if retries.delays is None else len(retries.delays)


def delay_before(retries: Retries, number: int, chance: float = 0.0) -> float:
    """The seconds before a try.

    Args:
        retries: as written.
        number: of the try after the first, from 1.
        chance: from 0 to 1, where delays vary at random: 0 gives all of the delay, 1 half of it.
            So no delay is longer than what is written, and none is much too short.
    """
    if retries.delays is not None:
        whole = retries.delays[min(number, len(retries.delays)) - 1].total_seconds()
    else:
        growth = {
            "constant": 1,
            "linear": number,
            "exponential": 2 ** min(number - 1, MAX_DOUBLINGS),
        }
        grown = retries.delay.total_seconds() * growth[retries.backoff]
        whole = min(grown, retries.max_delay.total_seconds())
    return whole * (1 - chance / 2) if retries.jitter else whole


def retries_in_words(retries: Retries | None) -> str | None:
    """How often and when, such as `3 tries more, after 30 s, 1 min and 2 min`; None for never."""
    most = tries_after_the_first(retries)
    if retries is None or not most:
        return None
    shown = [in_words(delay_before(retries, number)) for number in range(1, min(most, 5) + 1)]
    further = " and so on" if most > len(shown) else ""
    less = ", or up to a half earlier" if retries.jitter else ""
    return f"{most} {'try' if most == 1 else 'tries'} more, after {', '.join(shown)}{further}{less}"


def in_words(seconds: float) -> str:
    """A duration for people: `2.5 s`, `90 s`, `5 min`, `1.5 h`."""
    for size, unit in ((3600, "h"), (60, "min")):
        if seconds >= 2 * size or (seconds >= size and seconds % size == 0):
            return f"{seconds / size:.1f}".removesuffix(".0") + f" {unit}"
    return f"{seconds:.1f}".removesuffix(".0") + " s"
