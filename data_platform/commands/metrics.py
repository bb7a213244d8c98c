"""Metrics for Prometheus, with the rules and dashboards that go with them.

Added to the command by `cli`.
"""

import signal
import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from data_platform.commands.opened import dagster_instance, load_all, settings_of_machine
from data_platform.errors import PlatformError
from data_platform.settings import Settings, environment

if TYPE_CHECKING:
    from data_platform.loading import Loaded
    from data_platform.observability.alerts.watching import Watched
    from data_platform.observability.metrics.known import Known
    from data_platform.spec.alerts import Alerts

DEFAULT_PORT = 8791
PATIENCE = 2.0
"""Seconds in which a look that is on its way may end before the process does."""


@click.command(epilog="Example: data-platform metrics --port 8791")
@click.option(
    "--port",
    type=click.IntRange(0, 65_535),
    default=DEFAULT_PORT,
    show_default=True,
    help="To listen on.",
)
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    help="To listen on; 0.0.0.0 listens to the network: anybody there reads them.",
)
@click.option(
    "--max-assets",
    type=click.IntRange(min=0),
    default=5_000,
    show_default=True,
    metavar="N",
    help="With series of their own; data_platform_assets_left_out counts the others.",
)
@click.option(
    "--write", "folder", metavar="DIR", type=click.Path(file_okay=False, path_type=Path),
    help="Write the rules of alerts and the dashboards to DIR, and end.",
)  # fmt: skip
def metrics(port: int, host: str, max_assets: int, folder: Path | None) -> None:
    """Export metrics for Prometheus.

    They are at /metrics, from Dagster's event log and database and from this machine. A scrape asks
    the database nothing. See docs/metrics.md.
    """
    if folder is not None:
        from data_platform.observability.metrics.files import write_monitoring  # noqa: PLC0415

        for written in write_monitoring(folder):
            click.echo(f"wrote {written}")
        return
    _serve(settings_of_machine(), port, host, max_assets)


def _serve(settings: Settings, port: int, host: str, max_assets: int) -> None:
    """Look and serve until somebody ends it."""
    from data_platform.loading import load  # noqa: PLC0415
    from data_platform.observability.alerts.watching import watch_daemons  # noqa: PLC0415
    from data_platform.observability.metrics.exporter import Exporter  # noqa: PLC0415
    from data_platform.observability.metrics.exposing import Exposition  # noqa: PLC0415
    from data_platform.observability.metrics.host import Host  # noqa: PLC0415
    from data_platform.observability.metrics.plans import Plans  # noqa: PLC0415
    from data_platform.observability.metrics.serving import served  # noqa: PLC0415

    loaded = load_all()
    alerts = loaded.workspace.platform.alerts

    def again() -> "Known":
        nonlocal loaded, alerts
        loaded = load(settings, environment())
        if not loaded.unreadable:
            alerts = loaded.workspace.platform.alerts
        return _known(loaded, max_assets)

    machine = Host({"data": settings.data_dir, **_lake_folder(loaded)})
    plans = Plans(_known(loaded, max_assets), again, settings.pipelines_dirs)
    with _ended_by_signals() as ended, dagster_instance(settings) as instance:
        # A daemon can't tell of its own end.
        tasks = [lambda: watch_daemons(instance, lambda: _watched(loaded, alerts))]
        exporter = Exporter(instance, plans, tasks)
        looking = threading.Thread(target=exporter.run, daemon=True)
        with served(Exposition(exporter, machine.look), host, port) as taken:
            looking.start()
            click.echo(f"metrics are at http://{host}:{taken}/metrics until Ctrl-C")
            ended.wait()
        exporter.end()
        looking.join(PATIENCE)


@contextmanager
def _ended_by_signals() -> Generator[threading.Event]:
    """What is set when somebody ends the process."""
    ended = threading.Event()
    kinds = (signal.SIGTERM, signal.SIGINT)
    before = {kind: signal.signal(kind, lambda *_: ended.set()) for kind in kinds}
    try:
        yield ended
    finally:
        for kind, handler in before.items():
            signal.signal(kind, handler)


def _known(loaded: "Loaded", max_assets: int) -> "Known":
    """What metrics need of the pipelines."""
    from data_platform.observability.metrics.known import Known  # noqa: PLC0415

    unreadable = bool(loaded.unreadable)
    return Known(loaded.plan.nodes, len(loaded.broken), max_assets, unreadable=unreadable)


def _watched(loaded: "Loaded", alerts: "Alerts") -> "Watched":
    """What alerts need of them."""
    from data_platform.observability.alerts.watching import Watched  # noqa: PLC0415

    return Watched(loaded.plan, alerts, loaded.outside().expand)


def _lake_folder(loaded: "Loaded") -> dict[str, Path]:
    """The lake's folder, where it is in one."""
    from data_platform.storage.places.folder import Folder  # noqa: PLC0415

    try:
        place = loaded.lake().place
    except PlatformError:
        return {}
    return {"lake": place.root} if isinstance(place, Folder) else {}
