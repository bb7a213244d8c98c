"""What the commands of quarantine that decide something do, each in what it asks and says.

Called by `commands.quarantine`; how rows are read, compared and decided about is in `correcting`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from data_platform.errors import PermanentError
from data_platform.settings import environment

if TYPE_CHECKING:
    from dagster import DagsterInstance
    from rich.console import Console

    from data_platform.correcting.comparing import Edits
    from data_platform.correcting.exporting import Format
    from data_platform.correcting.held import HeldRow, HeldTable
    from data_platform.correcting.replaying import Replay
    from data_platform.loading import Loaded
    from data_platform.plan.nodes import StagingNode
    from data_platform.run_reports import RunReport
    from data_platform.running import Request
    from data_platform.storage.decisions import Decision


@dataclass(frozen=True)
class Prepared:
    """What is going to happen, once it is agreed to.

    Attributes:
        replay: what runs; None where nothing has to.
        table: of which rows.
        edits: of a file; None where rows go in as they are.
        back: decisions that are taken back.
    """

    replay: "Replay | None"
    table: "HeldTable"
    edits: "Edits | None" = None
    back: "Sequence[Decision]" = ()


class Desk:
    """Where rows of one asset's quarantine are dealt with.

    Args:
        loaded: the pipelines.
        asset: as a person calls it.
        by: who decides; None means whoever is logged in.
    """

    def __init__(self, loaded: "Loaded", asset: str, by: str | None = None) -> None:
        from data_platform.correcting.deciding import Author, user_name  # noqa: PLC0415
        from data_platform.terminal.console import make_console  # noqa: PLC0415

        self._loaded, self._by = loaded, by
        self._node = _staging(loaded, asset)
        self._workbench = loaded.workbench()
        self._author = Author(by or user_name(), datetime.now(UTC))
        self._console: Console = make_console(environment())

    def export(
        self, partition: str | None, rule: str | None, form: "Format | None", output: Path | None
    ) -> None:
        """Write rows that wait."""
        from data_platform.correcting import exporting  # noqa: PLC0415
        from data_platform.correcting.held import read_held  # noqa: PLC0415
        from data_platform.correcting.sheet_files import format_of  # noqa: PLC0415

        form = form or (format_of(output) if output else "csv")
        if form == "parquet" and output is None:
            raise click.UsageError("Parquet isn't for the terminal: name a file by -o")
        folders = [output.absolute().parent] if output else []
        with self._workbench.open(folders) as (session, _):
            table = read_held(session, self._node, self._workbench.lake)
            rows = exporting.chosen(table, self._known(partition), rule)
            match form:
                case "csv":
                    text = exporting.as_csv(table, rows)
                case "jsonl":
                    text = exporting.as_json_lines(session, table, rows)
                case "parquet":
                    text = ""
                    exporting.write_parquet(session, table, rows, output or Path())
        if output is None:
            click.echo(text, nl=False)
        elif form != "parquet":
            # Spreadsheets take a CSV for UTF-8 only by its mark.
            encoding = "utf-8-sig" if form == "csv" else "utf-8"
            output.write_text(text, encoding=encoding, newline="")
        if output is not None or not rows:
            to = f" in {output}" if output else ""
            click.echo(f"{_rows(len(rows))}{to}", err=True)

    def prepare_replay(self, file: Path | None, partition: str | None) -> Prepared | None:
        """See what a replay will do, and show it; None where there is nothing to do."""
        from data_platform.correcting import exporting  # noqa: PLC0415
        from data_platform.correcting.comparing import compare  # noqa: PLC0415
        from data_platform.correcting.held import read_held  # noqa: PLC0415
        from data_platform.correcting.replaying import plan_replay  # noqa: PLC0415
        from data_platform.correcting.sheet_files import read_sheet  # noqa: PLC0415

        partition = self._known(partition)
        with self._workbench.open() as (session, _):
            table = read_held(session, self._node, self._workbench.lake)
            edits = None
            if file is not None:
                edits = compare(session, read_sheet(session, file), table, partition)
        if edits is None:
            rows = {row.row_id for row in exporting.chosen(table, partition, None)}
            corrected = 0
        else:
            # Rows that were corrected before and aren't run yet go along.
            rows = {*edits.changed, *(one for one in edits.same if table.correction(one))}
            corrected = len(rows)
            self._say_left_alone(edits, len(edits.same - rows))
        if not rows:
            self._console.print("nothing to take back in")
            return None
        replay = plan_replay(self._loaded.plan, self._workbench, table, rows, corrected)
        self._show(replay)
        return Prepared(replay, table, edits)

    def replay(self, instance: "DagsterInstance", prepared: Prepared) -> bool:
        """Do it; tells whether everything was published."""
        from data_platform.correcting import deciding  # noqa: PLC0415

        self._note(instance, "replay", len(prepared.replay.rows) if prepared.replay else 0)
        if prepared.edits is not None:
            lake = self._workbench.lake
            with self._workbench.open() as (session, _):
                taken = deciding.correct(
                    session, lake, prepared.table, prepared.edits, self._author
                )
            self._record(instance, taken)
        return self._run(instance, prepared)

    def rows_to_discard(
        self, identities: Sequence[str], partition: str | None, rule: str | None
    ) -> "list[HeldRow]":
        """The rows that are meant, with a line that counts them."""
        from data_platform.correcting import exporting  # noqa: PLC0415
        from data_platform.correcting.deciding import rows_of  # noqa: PLC0415
        from data_platform.correcting.held import read_held  # noqa: PLC0415

        with self._workbench.open() as (session, _):
            table = read_held(session, self._node, self._workbench.lake)
        found = (
            rows_of(table, identities)
            if identities
            else exporting.chosen(table, self._known(partition), rule)
        )
        rows = [row for row in found if row.discarded is None]
        partitions = len({row.partition for row in rows})
        where = f" of {partitions:,} partitions" if partitions > 1 else ""
        self._console.print(
            f"{self._node.key}: {_rows(len(rows))}{where}" if rows else "nothing to discard"
        )
        return rows

    def discard(self, instance: "DagsterInstance", rows: "Sequence[HeldRow]", because: str) -> None:
        """Give rows up, and say so."""
        from data_platform.correcting import deciding  # noqa: PLC0415
        from data_platform.correcting.held import read_held  # noqa: PLC0415

        lake = self._workbench.lake
        with self._workbench.open() as (session, _):
            table = read_held(session, self._node, lake)
            taken = deciding.discard(session, lake, table, rows, self._author, because)
        self._note(instance, "discard", len(taken), because)
        self._record(instance, taken)
        self._console.print(f"{_rows(len(taken))} discarded by {self._author.name}")

    def prepare_restore(self, identities: Sequence[str], partition: str | None) -> Prepared | None:
        """See what is taken back, and show it; None where there is nothing."""
        from data_platform.correcting.deciding import decided_rows  # noqa: PLC0415
        from data_platform.correcting.held import read_held  # noqa: PLC0415
        from data_platform.correcting.replaying import plan_replay  # noqa: PLC0415

        with self._workbench.open() as (session, _):
            table = read_held(session, self._node, self._workbench.lake)
        back = decided_rows(table, identities, self._known(partition))
        if not back:
            self._console.print("nothing to take back")
            return None
        # What was taken back before and isn't run yet goes along.
        run = [one.row_id for one in back if one.kind != "discard"]
        self._console.print(f"{self._node.key}: {_rows(len(back))} as they came again")
        replay = None
        if run:
            replay = plan_replay(self._loaded.plan, self._workbench, table, run)
            self._show(replay)
        return Prepared(replay, table, back=back)

    def restore(self, instance: "DagsterInstance", prepared: Prepared) -> bool:
        """Do it; tells whether everything was published."""
        from data_platform.correcting import deciding  # noqa: PLC0415

        lake = self._workbench.lake
        identities = [one.row_id for one in prepared.back]
        with self._workbench.open() as (session, _):
            taken = deciding.restore(session, lake, self._node, identities, self._author)
        self._note(instance, "restore", len(taken))
        self._record(instance, taken)
        self._console.print(f"{_rows(len(taken))} restored by {self._author.name}")
        if prepared.replay is None:
            return True
        return self._run(instance, prepared, quiet=True)

    def _run(self, instance: "DagsterInstance", prepared: Prepared, *, quiet: bool = False) -> bool:
        from data_platform.correcting.replaying import replay  # noqa: PLC0415
        from data_platform.terminal.quarantine_tables import (  # noqa: PLC0415
            print_failed,
            print_replayed,
        )

        if prepared.replay is None:
            return True
        run = _runner(self._loaded, instance, self._console)
        done = replay(self._loaded.plan, self._workbench, prepared.replay, run)
        if quiet:
            print_failed(self._console, done.failed)
        else:
            print_replayed(self._console, done)
        return not done.failed

    def _note(self, instance: "DagsterInstance", action: str, rows: int, because: str = "") -> None:
        """Note who did what, where it stays whatever becomes of the rows."""
        from data_platform.instance.audit_trail import note  # noqa: PLC0415

        detail = f"{_rows(rows)}{f': {because}' if because else ''}"
        note(instance, f"quarantine {action}", [str(self._node.key)], detail, self._by)

    def _record(self, instance: "DagsterInstance", taken: "Sequence[Decision]") -> None:
        from data_platform.correcting import deciding  # noqa: PLC0415
        from data_platform.correcting.held import read_held  # noqa: PLC0415

        with self._workbench.open() as (session, _):
            table = read_held(session, self._node, self._workbench.lake)
        deciding.record(instance, self._node, table, taken)

    def _known(self, partition: str | None) -> str | None:
        """A partition that there is."""
        node = self._node
        if partition is not None and not (node.partitions and node.partitions.is_key(partition)):
            raise PermanentError(f"{node.key} has no partition {partition!r}")
        return partition

    def _say_left_alone(self, edits: "Edits", same: int) -> None:
        for count, why in (
            (same, "as they were: no cell is edited"),
            (len(edits.done), "taken back in before"),
            (edits.others, "of other partitions left alone"),
        ):
            if count:
                self._console.print(f"{_rows(count)} {why}")

    def _show(self, replay: "Replay") -> None:
        from data_platform.terminal.quarantine_tables import print_replay  # noqa: PLC0415

        print_replay(self._console, replay)


def _staging(loaded: "Loaded", asset: str) -> "StagingNode":
    """The staging asset that somebody means, `pipeline.asset` too."""
    from data_platform.plan.finding import find_asset  # noqa: PLC0415
    from data_platform.plan.nodes import StagingNode  # noqa: PLC0415

    for node in loaded.plan.nodes:
        if isinstance(node, StagingNode) and asset == f"{node.key.pipeline}.{node.key.name}":
            return node
    found = find_asset(loaded.plan, asset)
    if not isinstance(found, StagingNode):
        raise click.UsageError(f"{found.key} has no quarantine: rows are held back in staging")
    return found


def _runner(
    loaded: "Loaded", instance: "DagsterInstance", console: "Console"
) -> "Callable[[Request], RunReport]":
    """Runs that are shown as they go."""
    from data_platform.definitions import definitions_of  # noqa: PLC0415
    from data_platform.running import run_pipeline  # noqa: PLC0415
    from data_platform.terminal.console import steady_console  # noqa: PLC0415
    from data_platform.terminal.run_tables import Ticker  # noqa: PLC0415

    now = datetime.now(UTC)
    definitions = definitions_of(loaded, now)

    def run(request: "Request") -> "RunReport":
        with steady_console(console) as steady:
            ticker = Ticker(steady)
            try:
                return run_pipeline(definitions, loaded, instance, request, ticker, now)
            finally:
                ticker.stop()

    return run


def _rows(count: int) -> str:
    return f"{count:,} row{'s'[: count != 1]}"
