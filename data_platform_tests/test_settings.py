"""Where settings come from: the environment, `.env`, and the folder that one stands in."""

import os
from pathlib import Path

import pytest

from data_platform.settings import (
    SHIPPED_PIPELINES,
    environment_with,
    load_settings,
    read_env_file,
)


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A folder with pipelines of its own."""
    (tmp_path / "pipelines").mkdir()
    (tmp_path / "pipelines" / "platform.yaml").touch()
    return tmp_path


def test_without_pipelines_of_ones_own_the_ones_that_ship_are_taken(tmp_path: Path) -> None:
    settings = load_settings({"DATA_PLATFORM_HOME": str(tmp_path)})
    assert settings.pipelines_dirs == (SHIPPED_PIPELINES,)


def test_a_folder_with_a_platform_yaml_is_taken(own: Path) -> None:
    settings = load_settings({"DATA_PLATFORM_HOME": str(own)})
    assert settings.pipelines_dirs == (own / "pipelines",)
    assert settings.data_dir == own / ".data"


def test_home_is_the_working_directory(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(own)
    assert load_settings({}).pipelines_dirs == (own / "pipelines",)


def test_a_folder_of_that_name_without_platform_yaml_is_not_taken(tmp_path: Path) -> None:
    (tmp_path / "pipelines").mkdir()
    settings = load_settings({"DATA_PLATFORM_HOME": str(tmp_path)})
    assert settings.pipelines_dirs == (SHIPPED_PIPELINES,)


def test_what_the_environment_names_wins(own: Path) -> None:
    environ = {"DATA_PLATFORM_HOME": str(own), "DATA_PLATFORM_PIPELINES": "one:/two::three"}
    assert load_settings(environ).pipelines_dirs == (own / "one", Path("/two"), own / "three")


@pytest.mark.parametrize("amount", ["1GB", "512mb", "1.5GiB", "2 TB", "80%", "4g"])
def test_amounts_of_memory_that_duckdb_takes(amount: str) -> None:
    assert load_settings({"DATA_PLATFORM_MEMORY_LIMIT": amount}).memory_limit == amount


@pytest.mark.parametrize("amount", ["lots", "12", "0GB", "-1GB", "1GBs", "GB", "1e3MB", "100b"])
def test_any_other_amount_is_told_by_the_setting(amount: str) -> None:
    with pytest.raises(ValueError, match=r"DATA_PLATFORM_MEMORY_LIMIT is .*: it must be an amount"):
        load_settings({"DATA_PLATFORM_MEMORY_LIMIT": amount})


@pytest.mark.parametrize("text", ["many", "0", "-1", "1.5"])
def test_threads_are_a_number(text: str) -> None:
    with pytest.raises(ValueError, match=r"DATA_PLATFORM_THREADS is .*: it must be a number"):
        load_settings({"DATA_PLATFORM_THREADS": text})


def test_the_env_file_wins_as_it_does_for_dagster(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOP_URL", "old")
    monkeypatch.delenv("SHOP_KEY", raising=False)
    text = "# ours\nSHOP_URL='new one'\nexport SHOP_KEY=é\nSHOP_EMPTY=\nSHOP_NOTHING\n"
    (tmp_path / ".env").write_text(text, encoding="utf-8")
    with environment_with({}):
        read_env_file(tmp_path)
        assert os.environ["SHOP_URL"] == "new one"
        assert os.environ["SHOP_KEY"] == "é"
        assert os.environ["SHOP_EMPTY"] == ""
        assert "SHOP_NOTHING" not in os.environ
    assert os.environ["SHOP_URL"] == "old"
    assert "SHOP_KEY" not in os.environ


def test_a_folder_without_an_env_file_changes_nothing(tmp_path: Path) -> None:
    before = dict(os.environ)
    read_env_file(tmp_path)
    assert dict(os.environ) == before


def test_an_env_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"\xff\xfeA=1")
    with pytest.raises(ValueError, match=r"\.env can't be read"):
        read_env_file(tmp_path)
