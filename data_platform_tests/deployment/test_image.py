"""The image: what is in it, what isn't, and that each of its commands works as a plain user.

The Dockerfile's steps are done in a folder, see `image_build`. Commands run as the image's user,
who may write to two folders only; where the tests themselves aren't root, as whoever runs them.
"""

import contextlib
import functools
import json
import os
import re
import signal
import subprocess
import tomllib
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from dagster_dev import free_port, wait_until
from helm_chart import RELEASE, Rendered, render
from image_build import ROOT, Image, context_files, instructions, pinned
from server_folders import folder_for_servers

from data_platform.embedded.server import server_url

USER = 10001
AS_PLAIN_USER = [
    "setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups", "--no-new-privs",
    # Python itself may be in a folder of root's own: it is read, and nothing is written there.
    *(f"--{kind}=-all,+dac_read_search" for kind in ("inh-caps", "ambient-caps", "bounding-set")),
]  # fmt: skip
DEV_ONLY = ("pytest", "moto", "hypothesis", "kmock", "helm_python", "playwright", "ruff", "pyright")
PLATFORM = 'lake: {root: "${LAKE_ROOT}"}\n'
PIPELINE = """
version: 1
pipeline: shop
owner: team:shop
sources:
  orders: {type: file, path: orders.csv, partitions: none, settle: 0s}
"""
WORKS = ["linked", pytest.param("installed", marks=pytest.mark.campaign)]


@functools.cache
def chart() -> Rendered:
    return render({"mode": "development", "storage": {"existingSecret": "database"}})


@pytest.fixture(scope="module", params=WORKS)
def image(request: pytest.FixtureRequest) -> Iterator[Image]:
    """The image's files; packages linked, or installed as the Dockerfile does."""
    with folder_for_servers() as folder:
        made = Image(folder / "root")
        made.root.mkdir()
        made.build(install=request.param == "installed")
        give_pipelines(made)
        yield made


def give_pipelines(image: Image) -> None:
    """What a team's image adds: COPY pipelines /opt/data-platform/pipelines."""
    pipelines = Path(image.path("/opt/data-platform/pipelines"))
    (pipelines / "shop").mkdir(parents=True)
    (pipelines / "platform.yaml").write_text(PLATFORM)
    (pipelines / "shop" / "pipeline.yaml").write_text(PIPELINE)
    (pipelines.parent / "orders.csv").write_text("id,amount\n1,3\n")


# The files ---------------------------------------------------------------------------------------


def test_the_image_has_the_version_of_the_package() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    arguments = [s.rest for s in instructions((ROOT / "Dockerfile").read_text()) if s.word == "ARG"]
    assert f"VERSION={version}" in arguments


def test_the_chart_puts_things_where_the_image_has_them() -> None:
    made = Image(Path("/nowhere"))
    made.read_environment()
    container = chart().get("Deployment", f"{RELEASE}-location-pipelines").container
    told = {one["name"]: one.get("value") for one in container["env"]}
    own = {name: text for name, text in made.environ.items() if name.startswith(("DA", "LAKE"))}
    assert {name: told[name] for name in own} == own


def test_the_image_is_of_a_plain_user_without_a_compiler() -> None:
    steps = instructions((ROOT / "Dockerfile").read_text())
    last = max(number for number, step in enumerate(steps) if step.word == "FROM")
    runtime = steps[last:]
    assert [step.rest for step in runtime if step.word == "USER"] == [f"{USER}:{USER}"]
    assert not re.search(r"apt|gcc|build-essential", " ".join(step.rest for step in runtime))
    assert [step.word for step in runtime].count("HEALTHCHECK") == 1


@pytest.mark.parametrize("lock", ["requirements-image.lock", "requirements-build.lock"])
def test_what_images_install_is_what_tests_run_with(lock: str) -> None:
    whole = pinned(ROOT / "requirements.lock")
    assert {name: v for name, v in pinned(ROOT / lock).items() if whole.get(name) != v} == {}


@pytest.mark.parametrize("lock", ["requirements-image.lock", "requirements-build.lock"])
def test_locks_name_hashes_and_no_address(lock: str) -> None:
    text = (ROOT / lock).read_text()
    assert "://" not in text
    assert "index-url" not in text
    for requirement in re.split(r"\n(?=\S)", text.strip()):
        assert requirement.startswith("#") or "--hash=sha256:" in requirement, requirement


def test_images_hold_no_tool_of_development() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    names = {re.split(r"[\[<>=; ]", one)[0].lower() for one in one_list(project, "dev")}
    wanted = {re.split(r"[\[<>=; ]", one)[0].lower() for one in one_list(project, "image")}
    assert not (names - wanted) & set(pinned(ROOT / "requirements-image.lock"))


def one_list(project: dict[str, dict[str, list[str]]], name: str) -> list[str]:
    """The packages of an extra; of `image`, those that an image has."""
    extras = project["optional-dependencies"]
    if name == "image":
        return [one for extra in ("aws", "k8s", "kafka", "mysql", "vault") for one in extras[extra]]
    return extras[name]


def test_nothing_of_a_machine_gets_into_the_build() -> None:
    tracked = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "data_platform"],
        cwd=ROOT, check=True, capture_output=True, text=True,
    ).stdout.split()  # fmt: skip
    assert set(context_files("data_platform")) == {
        name for name in tracked if (ROOT / name).is_file()
    }
    assert list(context_files("docs")) == []
    assert list(context_files(".git")) == []


def test_all_files_of_the_package_are_installed(image: Image) -> None:
    installed = {
        file.relative_to(image.packages).as_posix()
        for file in (image.packages / "data_platform").rglob("*")
        if file.is_file()
    }
    assert set(context_files("data_platform")) <= installed
    assert [name for name in installed if name.endswith(".pyc")]


# The commands ------------------------------------------------------------------------------------


class Container:
    """Commands of an image, as its user, with the chart's environment.

    Args:
        image: whose commands.
        storage_url: of Dagster's database.
    """

    def __init__(self, image: Image, storage_url: str) -> None:
        self.image = image
        self.log = image.root.parent / "log.txt"
        home = Path(image.path("/opt/data-platform/home"))
        instance = chart().instance_files()["dagster.yaml"]
        kubeconfig = home / "kubeconfig"
        kubeconfig.write_text(KUBECONFIG)
        instance["run_launcher"]["config"].update(
            load_incluster_config=False, kubeconfig_file=str(kubeconfig)
        )
        self.port = free_port()
        (home / "dagster.yaml").write_text(yaml.safe_dump(instance))
        server = {"host": "127.0.0.1", "port": self.port, "location_name": "pipelines"}
        (home / "workspace.yaml").write_text(
            yaml.safe_dump({"load_from": [{"grpc_server": server}]})
        )
        self.writable = [image.root / "tmp", image.root / "var/lib/data-platform"]
        for folder in self.writable:
            folder.chmod(0o777)
        environ = {name: image.path(text) for name, text in image.environ.items()}
        self.environ = {
            name: text for name, text in environ.items() if not name.startswith("PIP_")
        } | {
            "DATA_PLATFORM_STORAGE_URL": storage_url,
            "LAKE_ROOT": str(image.root / "var/lib/data-platform/lake"),
            "TMPDIR": str(image.root / "tmp"),
            "HOME": "/nonexistent",
        }
        self.processes: list[subprocess.Popen[bytes]] = []

    def start(self, *command: str, log: Path | None = None) -> subprocess.Popen[bytes]:
        """Start a command of the image, with the paths that the image has.

        Args:
            command: the program and its arguments.
            log: what it prints goes to this file's end; without, to the log of all.
        """
        program, *arguments = command
        plain = AS_PLAIN_USER if os.geteuid() == 0 else []
        with (log or self.log).open("ab") as printed:
            process = subprocess.Popen(
                [*plain, str(self.image.bin / program), *map(self.image.path, arguments)],
                cwd=self.image.path("/opt/data-platform"),
                env=self.environ,
                stdin=subprocess.DEVNULL,
                stdout=printed,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.processes.append(process)
        return process

    def run(self, *command: str) -> int:
        """The exit code of a command that ends."""
        return self.start(*command).wait(180)

    def printed(self) -> str:
        return self.log.read_text()

    def stop(self) -> None:
        for process in self.processes:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


KUBECONFIG = """
apiVersion: v1
kind: Config
clusters: [{name: none, cluster: {server: "http://127.0.0.1:1"}}]
users: [{name: nobody, user: {}}]
contexts: [{name: it, context: {cluster: none, user: nobody}}]
current-context: it
"""


@pytest.fixture(scope="module")
def container(image: Image, data_dir: Path) -> Iterator[Container]:
    """The image's commands, over a database with Dagster's tables."""
    made = Container(image, server_url(data_dir, f"image_{os.getpid()}"))
    try:
        assert made.run("data-platform", "migrate", "--wait", "60") == 0, made.printed()
        yield made
    finally:
        made.stop()


def files_outside(container: Container) -> dict[str, float]:
    """All files of the image that nobody is to change, and when they were changed."""
    root, writable = container.image.root, container.writable
    return {
        str(file): file.lstat().st_mtime
        for file in root.rglob("*")
        if not any(file.is_relative_to(folder) for folder in writable)
    }


@pytest.fixture(scope="module")
def served(container: Container) -> Iterator[dict[str, int]]:
    """All servers of the image, up; their ports by name. They leave the image as it was."""
    before = files_outside(container)
    ports = {"location": container.port, "webserver": free_port(), "metrics": free_port()}
    workspace = "/opt/data-platform/home/workspace.yaml"
    container.start(
        "dagster", "api", "grpc", "--host=127.0.0.1", f"--port={ports['location']}",
        "--module-name=data_platform.definitions", "--location-name=pipelines",
    )  # fmt: skip
    check = ("dagster", "api", "grpc-health-check", "-p", str(ports["location"]))
    wait_until(lambda: container.run(*check) == 0, 180)
    container.start("dagster-daemon", "run", "-w", workspace)
    container.start(
        "data-platform", "webserver", "--host", "127.0.0.1", "--port", str(ports["webserver"]),
        "--workspace", workspace,
    )  # fmt: skip
    container.start("data-platform", "metrics", "--port", str(ports["metrics"]))
    yield ports
    assert files_outside(container) == before


def answers(port: int, path: str) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return answer.status == 200
    except OSError:
        return False


def test_the_webserver_s_probe_answers(container: Container, served: dict[str, int]) -> None:
    """As HEALTHCHECK asks it."""
    [step] = [s for s in instructions((ROOT / "Dockerfile").read_text()) if s.word == "HEALTHCHECK"]
    command = json.loads(step.rest.partition("CMD ")[2])
    asked = [argument.replace(":3000", f":{served['webserver']}") for argument in command]
    assert asked != command
    wait_until(lambda: container.run(*asked) == 0, 120)


def test_the_exporter_s_probe_answers(container: Container, served: dict[str, int]) -> None:
    wait_until(lambda: answers(served["metrics"], "/metrics"), 120)


def test_the_daemon_s_probe_answers(container: Container, served: dict[str, int]) -> None:
    wait_until(lambda: container.run("dagster-daemon", "liveness-check") == 0, 120)


def test_a_run_works_and_writes_where_it_may(container: Container, served: dict[str, int]) -> None:
    assert container.run("data-platform", "run", "shop") == 0, container.printed()
    assert list((container.image.root / "var/lib/data-platform/lake").rglob("*.parquet"))


def test_a_database_s_tables_are_migrated_once_more(container: Container) -> None:
    assert container.run("data-platform", "migrate", "--wait", "0") == 0, container.printed()


def test_what_only_tests_have_cant_be_imported(container: Container) -> None:
    code = "import importlib.util as u, sys; sys.exit(any(map(u.find_spec, sys.argv[1:])))"
    assert container.run("python", "-c", code, *DEV_ONLY, "data_platform_tests") == 0
    assert container.run("python", "-c", code, "dagster_k8s") == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="whoever isn't root made the files")
def test_the_image_s_user_can_write_to_two_folders_alone(
    container: Container, tmp_path: Path
) -> None:
    code = (
        "import os, sys\nfor folder, _, files in os.walk(sys.argv[1], followlinks=False):\n"
        "    if os.access(folder, os.W_OK): print(folder)\n"
    )
    # A file of its own: servers that are up print to the log of all at any moment.
    printed = tmp_path / "printed.txt"
    assert container.start("python", "-c", code, str(container.image.root), log=printed).wait() == 0
    found = {Path(line) for line in printed.read_text().splitlines()}
    assert set(container.writable) <= found
    assert {
        folder
        for folder in found
        if not any(folder.is_relative_to(one) for one in container.writable)
    } == set()
