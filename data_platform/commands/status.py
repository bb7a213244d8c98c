"""The first page: what is wrong, whose it is, what waits behind it and what to type next.

Added to the command by `cli`.
"""

import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from data_platform import completion
from data_platform.commands.opened import (
    dagster_instance,
    fail,
    format_option,
    load_all,
    nodes_of,
    print_json,
    settings_of_machine,
)
from data_platform.settings import environment

if TYPE_CHECKING:
    from dagster import DagsterInstance

    from data_platform.loading import Loaded
    from data_platform.observability.overview import Overview, Watched
    from data_platform.observability.platform_troubles import Trouble

_SECONDS = 10.0
"""Between two looks, where nobody says."""


@click.command(epilog="Example: data-platform status retail --watch 30")
@click.argument("pipeline", required=False, shell_complete=completion.pipelines)
@click.option("--all", "every", is_flag=True, help="Each asset and each cause; nothing is folded.")
@click.option(
    "--watch", type=click.FloatRange(min=1), is_flag=False, flag_value=_SECONDS,
    metavar="[SECONDS]",
    help=f"Look again every {_SECONDS:g} seconds, or as often as is said, until q or Ctrl-C.",
)  # fmt: skip
@format_option
def status(pipeline: str | None, watch: float | None, *, every: bool, style: str) -> None:
    """Show what is wrong, by cause, and how the rest stands.

    A head line counts; then what is wrong with the platform itself; then each cause with its owner,
    its age, its runbook, what waits behind it and what to type next; then the pipelines. What waits
    for an asset that failed is told once, with that asset.

    Exits with 1 where something is red, and with 0 where it isn't.
    """
    with ExitStack() as opened:
        page = _Page(pipeline, opened)
        if watch is not None:
            _watch(page, watch, every=every, style=style)
            return
        overview = page.look()
        _print(overview, every=every, named=pipeline is not None, style=style)
        if overview.level == "red":
            fail()


class _Page:
    """Looks, again and again: pipelines are read again only where a file of theirs has changed.

    Args:
        pipeline: only this one; None means all.
        opened: holds Dagster's instance open.
    """

    def __init__(self, pipeline: str | None, opened: ExitStack) -> None:
        self.pipeline = pipeline
        self._settings = settings_of_machine()
        self._prints = self._files()
        self._watched = self._load()
        self._instance: DagsterInstance = opened.enter_context(dagster_instance(self._settings))

    def look(self) -> "Overview":
        """How everything stands now."""
        from datetime import UTC, datetime  # noqa: PLC0415

        from data_platform.observability.overview import look  # noqa: PLC0415

        prints = self._files()
        if prints != self._prints:
            self._prints, self._watched = prints, self._load()
        return look(self._instance, self._watched, datetime.now(UTC))

    def _load(self) -> "Watched":
        from data_platform.observability.overview import Watched  # noqa: PLC0415

        loaded = load_all()
        nodes = nodes_of(loaded, self.pipeline)
        return Watched(
            loaded.plan,
            nodes,
            loaded.workspace.platform,
            loaded.broken,
            loaded.workbench(),
            loaded.outside(),
            lambda: self._machine(loaded),
        )

    def _files(self) -> frozenset[tuple[str, int, int]]:
        """The files of all pipelines as they are: names, moments, sizes."""
        found: set[tuple[str, int, int]] = set()
        for folder in self._settings.pipelines_dirs:
            for path in folder.rglob("*.*"):
                if path.suffix != ".pyc":
                    with suppress(FileNotFoundError):  # it was removed just now
                        one = path.stat()
                        found.add((str(path), one.st_mtime_ns, one.st_size))
        return frozenset(found)

    def _machine(self, loaded: "Loaded") -> "Iterator[Trouble]":
        """Disks that are nearly full, and a clock that isn't that of Dagster's database."""
        from data_platform.doctor.findings import moment_skew, skew  # noqa: PLC0415
        from data_platform.doctor.lake import disks, folders_of  # noqa: PLC0415
        from data_platform.observability.clocks import ask_clock  # noqa: PLC0415
        from data_platform.observability.platform_troubles import Trouble  # noqa: PLC0415

        found = list(disks(folders_of(loaded.lake(), self._settings.data_dir)))
        told = ask_clock(self._instance)
        if told is not None:
            seconds = moment_skew(told.at, told.before, told.after)
            found.append(replace(skew("", seconds), what="clock of Dagster's database"))
        for one in found:
            if one.level != "ok":
                level = "red" if one.level == "fail" else "yellow"
                yield Trouble("machine", level, f"{one.what}: {one.found}", one.advice)


def _print(overview: "Overview", *, every: bool, named: bool, style: str) -> None:
    from data_platform.terminal.console import make_console  # noqa: PLC0415

    if style == "json":
        from data_platform.observability.overview import overview_json  # noqa: PLC0415

        print_json(overview_json(overview))
        return
    from data_platform.terminal.status_page import print_overview  # noqa: PLC0415

    print_overview(make_console(environment()), overview, every=every, named=named)


def _watch(page: _Page, seconds: float, *, every: bool, style: str) -> None:
    """Look until somebody ends it: in place on a terminal, else one page after the other."""
    from data_platform.terminal.console import is_watched, make_console  # noqa: PLC0415
    from data_platform.terminal.watching import Watching  # noqa: PLC0415

    console = make_console(environment())
    named = page.pipeline is not None
    if style == "json" or not is_watched(console):
        try:
            while True:
                _print(page.look(), every=every, named=named, style=style)
                sys.stdout.flush()
                time.sleep(seconds)
        except KeyboardInterrupt:
            return
    from data_platform.terminal.status_page import print_overview  # noqa: PLC0415

    with Watching(console) as screen:
        while True:
            overview = page.look()
            screen.show(lambda to, one=overview: print_overview(to, one, every=every, named=named))
            if not screen.waited(seconds):
                return
