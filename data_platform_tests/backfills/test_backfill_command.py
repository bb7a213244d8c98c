"""`data-platform backfill` as a person and as a program call it."""

from backfill_history import History
from click.testing import CliRunner

from data_platform.cli import main

RANGE = ("history", "--from", "2024-01-01", "--to", "2024-01-05")


def test_it_shows_first_and_asks_and_goes_on(history: History) -> None:
    runner = CliRunner()
    shown = runner.invoke(main, ["backfill", *RANGE, "--batch", "3", "--dry-run"])
    assert shown.exit_code == 0, shown.output
    assert "2 runs of at most 3 partitions, one after the other" in shown.output
    assert history.backfills() == []

    refused = runner.invoke(main, ["backfill", *RANGE])
    assert refused.exit_code != 0
    assert history.backfills() == []

    history.set(bad="2024-01-02")
    failed = runner.invoke(main, ["backfill", *RANGE, "--yes"])
    assert failed.exit_code == 1, failed.output
    [shown_by_dagster] = history.instance.get_backfills()
    backfill_id = shown_by_dagster.backfill_id
    assert f"go on: data-platform backfill --resume {backfill_id}" in failed.output

    history.set(bad="")
    done = runner.invoke(main, ["backfill", "--resume", backfill_id[:5]])
    assert done.exit_code == 0, done.output
    assert f"backfill {backfill_id} succeeded" in done.output
    listed = runner.invoke(main, ["backfill", "--list"])
    assert "succeeded" in listed.output
    nothing = runner.invoke(main, ["backfill", *RANGE, "--missing-only", "--yes"])
    assert (nothing.exit_code, nothing.output) == (
        0,
        "nothing is missing: there is nothing to do\n",
    )


def test_what_goes_together_is_said(history: History) -> None:
    runner = CliRunner()
    for arguments in ([], ["history", "--list"], ["history", "--resume", "ab"]):
        found = runner.invoke(main, ["backfill", *arguments])
        assert found.exit_code != 0
        assert "name a pipeline, or say what is to be done" in found.output
