"""An installation that is attacked, and the webservers that stand before it."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from attacked import WORKSPACE, Attacked, fill
from retail_platform import Databases
from webserver_process import Webserver

from data_platform.instance.storage import open_instance
from data_platform.settings import PACKAGE_DIR


@pytest.fixture(scope="module")
def attacked(
    data_dir: Path,
    postgres_admin_url: str,
    dagster_template: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Attacked]:
    """An installation with something of each kind in it."""
    databases = Databases(data_dir, postgres_admin_url, dagster_template)
    url, folder = databases.dagster(), tmp_path_factory.mktemp("attacked")
    text = (PACKAGE_DIR / "dagster.yaml").read_text()
    # Both are on, so that what would be written of them is.
    text = text.replace("nux: {enabled: false}", "nux: {enabled: true}")
    text = text.replace("telemetry: {enabled: false}", "telemetry: {enabled: true}")
    (folder / "dagster.yaml").write_text(text)
    (folder / "workspace.yaml").write_text(WORKSPACE)
    made = Attacked(folder, url)
    with open_instance(made.settings) as instance:
        made = Attacked(folder, url, *fill(instance, folder))
    yield made
    databases.drop(url)


@pytest.fixture(scope="module")
def start_webserver(attacked: Attacked) -> Iterator[Callable[..., Webserver]]:
    """Call it like `data-platform webserver`, after a name of its log; stopped after the module."""
    started: list[Webserver] = []

    def start(name: str, *arguments: str) -> Webserver:
        server = Webserver(attacked.folder, name, *arguments, **attacked.environ)
        started.append(server)
        server.wait_until_up()
        return server

    yield start
    for one in started:
        one.stop()
