"""`data-platform init`: what it makes, where it refuses to, and that what it made works."""

import os
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from dagster_dev import DagsterDev, clean_environment
from forked_command import run_command

from data_platform.cli import main
from data_platform.new_project import TEMPLATE, make_project, project_name
from data_platform.settings import PACKAGE_DIR, environment_with

ROOT = Path(__file__).parents[2]
FILES = [
    ".gitignore", "README.md", "dagster.yaml", "data/orders.csv", "pipelines/platform.yaml",
    "pipelines/sales/daily_revenue.sql", "pipelines/sales/pipeline.yaml",
    "pipelines/sales/tests.yaml", "pyproject.toml", "tests/conftest.py", "tests/test_sales.py",
]  # fmt: skip


@pytest.fixture(autouse=True)
def somewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A working directory of the test's own, and no setting in the environment."""
    monkeypatch.chdir(tmp_path)
    with environment_with({}):
        for name in [name for name in os.environ if name.startswith("DATA_PLATFORM_")]:
            monkeypatch.delenv(name)
        yield tmp_path


def init(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(main, ["init", *arguments], catch_exceptions=False)
    return result.exit_code, result.stdout, result.stderr


def in_project(folder: Path, *command: str, **environ: str) -> subprocess.CompletedProcess[str]:
    environ = clean_environment() | environ
    if command[0] == "data-platform":
        return run_command(command, folder, environ)
    return subprocess.run(
        command, cwd=folder, env=environ, text=True, timeout=240, check=False,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip


# What it makes --------------------------------------------------------------------------------


def files_in(folder: Path) -> list[str]:
    return sorted(str(f.relative_to(folder)) for f in folder.rglob("*") if f.is_file())


def test_it_makes_a_folder_and_says_what_to_do_next(somewhere: Path) -> None:
    code, told, errors = init("shop")
    assert (code, errors) == (0, "")
    assert files_in(somewhere / "shop") == FILES
    assert told.splitlines()[-3:] == ["  cd shop", "  data-platform run sales", "  dagster dev"]


def test_a_name_with_spaces_is_quoted_in_what_is_told(somewhere: Path) -> None:
    code, told, _ = init("läden & märkte")
    assert code == 0
    assert "  cd 'läden & märkte'\n" in told
    assert files_in(somewhere / "läden & märkte") == FILES


def test_folders_on_the_way_are_made(somewhere: Path) -> None:
    assert init("a/b/c")[0] == 0
    assert files_in(somewhere / "a/b/c") == FILES


def test_the_working_directory_may_be_it(somewhere: Path) -> None:
    code, told, _ = init(".")
    assert code == 0
    assert "cd " not in told
    assert files_in(somewhere) == FILES


def test_a_repository_and_an_environment_may_be_there(somewhere: Path) -> None:
    for name in (".git", ".venv", ".idea", ".vscode"):
        (somewhere / "shop" / name).mkdir(parents=True)
    assert init("shop")[0] == 0


def test_a_setting_that_would_win_over_the_folder_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DATA_PLATFORM_PIPELINES", "/elsewhere")
    assert "DATA_PLATFORM_PIPELINES is set to /elsewhere" in init("shop")[1]


@pytest.mark.parametrize(
    ("folder", "name"),
    [
        ("shop", "shop"),
        ("Zoë's Läden 2", "zoe-s-laden-2"),
        ("店", "pipelines"),
        ("_", "pipelines"),
        ("data_platform", "data-platform-pipelines"),
    ],
)
def test_a_project_is_named_after_its_folder(folder: str, name: str, somewhere: Path) -> None:
    assert project_name(Path(folder)) == name
    assert init(folder)[0] == 0
    written = tomllib.loads((somewhere / folder / "pyproject.toml").read_text())
    assert written["project"]["name"] == name
    assert written["tool"]["dagster"]["module_name"] == "data_platform.definitions"


def test_no_placeholder_is_left(somewhere: Path) -> None:
    make_project(somewhere / "shop")
    assert not [
        file
        for file in (somewhere / "shop").rglob("*")
        if file.is_file() and "{{" in file.read_text()
    ]


def test_its_dagster_yaml_is_ours(somewhere: Path) -> None:
    make_project(somewhere / "shop")
    ours = (PACKAGE_DIR / "dagster.yaml").read_text()
    assert (somewhere / "shop" / "dagster.yaml").read_text() == ours


# Where it refuses -----------------------------------------------------------------------------


def test_a_folder_that_holds_something_is_left_alone(somewhere: Path) -> None:
    for name in ("README.md", "a", "b", "c"):
        (somewhere / name).touch()
    code, _, told = init(".")
    assert code == 1
    assert told == (
        "Error: . isn't empty: it holds README.md, a, b and 1 more; nothing was written. Name a "
        "folder that is new or empty\n"
    )
    assert files_in(somewhere) == ["README.md", "a", "b", "c"]


def test_it_makes_nothing_twice(somewhere: Path) -> None:
    init("shop")
    (somewhere / "shop/README.md").write_text("mine")
    assert init("shop")[0] == 1
    assert (somewhere / "shop/README.md").read_text() == "mine"


def test_a_file_is_no_folder(somewhere: Path) -> None:
    (somewhere / "shop").touch()
    code, _, told = init("shop")
    assert code == 2
    assert "is a file" in told


def test_a_file_on_the_way_is_named(somewhere: Path) -> None:
    (somewhere / "shop").touch()
    code, _, told = init("shop/pipelines")
    assert (code, told) == (1, "Error: shop/pipelines: not a directory\n")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written_is_named(somewhere: Path) -> None:
    (somewhere / "closed").mkdir(mode=0o500)
    code, _, told = init("closed/shop")
    assert code == 1
    assert "permission denied" in told


# What it made works ---------------------------------------------------------------------------


@pytest.fixture
def made(somewhere: Path) -> Path:
    """A project whose name isn't a simple one."""
    folder = somewhere / "mein Laden 店"
    make_project(folder)
    return folder


def test_its_tests_pass(made: Path) -> None:
    done = in_project(made, sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests")
    assert done.returncode == 0, done.stdout
    assert "6 passed" in done.stdout
    assert "warning" not in done.stdout
    assert not (made / ".data").exists()


def test_its_tests_find_a_mistake(made: Path) -> None:
    query = made / "pipelines/sales/daily_revenue.sql"
    query.write_text(query.read_text().replace("SUM(amount)", "MAX(amount)"))
    done = in_project(made, sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider")
    assert done.returncode == 1
    assert "reconcile" in done.stdout
    assert "test_everything_is_published" in done.stdout


def test_check_and_run_work_in_it_as_they_are(made: Path, dagster_url: str) -> None:
    environ = {"DATA_PLATFORM_STORAGE_URL": dagster_url}
    checked = in_project(made, "data-platform", "check", **environ)
    assert (checked.returncode, checked.stdout) == (0, "1 pipeline, 0 problems\n")
    run = in_project(made, "data-platform", "run", "sales", **environ)
    assert run.returncode == 0, run.stdout
    asked = in_project(
        made, "data-platform", "query", "SELECT sum(revenue) AS r FROM analytics.daily_revenue",
        "--format", "csv", **environ,
    )  # fmt: skip
    assert asked.stdout == "r\n203.35\n"
    assert (made / ".data/lake/analytics/sales/daily_revenue").is_dir()


def test_the_env_file_is_read_by_the_command(made: Path, dagster_url: str) -> None:
    (made / ".env").write_text(
        f"DATA_PLATFORM_STORAGE_URL='{dagster_url}'\nLAKE_ROOT=elsewhere\n", encoding="utf-8"
    )
    run = in_project(
        made, "data-platform", "run", "sales", DATA_PLATFORM_STORAGE_URL="postgresql://no"
    )
    assert run.returncode == 0, run.stdout
    assert (made / "elsewhere/analytics/sales/daily_revenue").is_dir()


def test_dagster_dev_works_in_it_as_it_is(
    made: Path, dagster_url: str, start_dagster_dev: Callable[..., DagsterDev]
) -> None:
    dev = start_dagster_dev(made, DATA_PLATFORM_STORAGE_URL=dagster_url)
    keys = [["raw", "sales", "orders"], ["staging", "sales", "orders"]]
    assets = [{"path": key} for key in [*keys, ["analytics", "sales", "daily_revenue"]]]
    run_id = dev.launch("__ASSET_JOB", "mein-laden", assetSelection=assets)
    assert dev.wait_for_end(run_id) == "SUCCESS"


# As a wheel -----------------------------------------------------------------------------------


def test_a_wheel_holds_what_a_project_needs(somewhere: Path) -> None:
    done = subprocess.run(
        [
            sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation",
            "--no-index", "--wheel-dir", str(somewhere), str(source(somewhere)),
        ],
        text=True, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    (wheel,) = somewhere.glob("*.whl")
    with zipfile.ZipFile(wheel) as opened:
        names = opened.namelist()
        yaml = opened.read("data_platform/dagster.yaml").decode()
    template = [str(path) for path in TEMPLATE.rglob("*") if path.is_file()]
    wanted = [path.removeprefix(f"{ROOT}/") for path in template if "__pycache__" not in path]
    assert len(wanted) >= len(FILES) - 1
    assert set(wanted) <= set(names)
    assert "data_platform/pipelines/retail/pipeline.yaml" in names
    assert "PlatformStorage" in yaml
    assert not [name for name in names if name.startswith("data_platform_tests")]


def source(folder: Path) -> Path:
    """A copy to build from: a build leaves folders beside what it builds."""
    copy = folder / "source"
    copy.mkdir()
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, check=True,
        capture_output=True, text=True,
    ).stdout.splitlines()  # fmt: skip
    for name in listed:
        if name.startswith(("data_platform/", "pyproject", "README", "LICENSE", "dagster.yaml")):
            file, target = ROOT / name, copy / name
            if file.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(file.read_bytes())
    return copy
