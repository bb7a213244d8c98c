"""What comes out at the end is what went in, by SQL that knows nothing of the platform."""

from retail_platform import RetailPlatform, days, outcome_of

from data_platform.running import RunReport

Built = tuple[RetailPlatform, RunReport]


def test_everything_is_built(built: Built) -> None:
    platform, report = built
    assert report.succeeded, [(a.key, a.state, a.message) for a in report.assets]
