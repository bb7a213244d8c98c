"""A clock that goes on: files that are old enough to go, and versions that are past retention."""

from datetime import UTC, datetime, timedelta

from factories import Project

from data_platform.storage.commits import read_log

LATER = timedelta(days=40)
"""From now on every file has been left alone for long."""


def later() -> datetime:
    """A moment at which files of now are old."""
    return datetime.now(UTC) + LATER


def retention_from(project: Project, text: str, kept: int, now: datetime) -> timedelta:
    """Such that a version and all later ones are kept, as exactly as its commit's milliseconds."""
    log = read_log(project.table(text))
    assert log is not None
    commit = next(one for one in log.commits if one.version == kept)
    return now - commit.at
