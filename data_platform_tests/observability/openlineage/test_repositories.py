"""Where the text of an asset is, for whoever looks at it in a browser."""

from pathlib import Path

import pytest

from data_platform.errors import Location
from data_platform.observability.openlineage.repositories import code_location

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def clone(folder: Path, remote: str) -> Location:
    """A checkout with a pipeline in it."""
    (folder / ".git" / "refs" / "heads").mkdir(parents=True)
    (folder / ".git" / "HEAD").write_text("ref: refs/heads/main\n")
    (folder / ".git" / "refs" / "heads" / "main").write_text(f"{COMMIT}\n")
    (folder / ".git" / "config").write_text(f'[remote "origin"]\n\turl = {remote}\n')
    return Location(folder / "pipelines" / "a shop" / "pipeline.yaml", 12)


@pytest.mark.parametrize(
    "remote",
    [
        "https://git.example/team/data.git",
        "https://me:hunter2@git.example/team/data",
        "git@git.example:team/data.git",
        "ssh://git@git.example:2222/team/data.git",
    ],
)
def test_place_is_named_at_the_commit_without_who_asks(tmp_path: Path, remote: str) -> None:
    found = code_location(clone(tmp_path, remote))
    assert found is not None
    assert found.url == (
        f"https://git.example/team/data/blob/{COMMIT}/pipelines/a%20shop/pipeline.yaml#L12"
    )
    assert (found.repoUrl, found.version, found.branch) == (
        "https://git.example/team/data", COMMIT, "main"
    )  # fmt: skip


@pytest.mark.parametrize("remote", ["/srv/data.git", "]broken", ""])
def test_place_that_others_can_not_find_is_not_told(tmp_path: Path, remote: str) -> None:
    assert code_location(clone(tmp_path, remote)) is None


def test_folder_without_a_repository_has_no_place(tmp_path: Path) -> None:
    location = clone(tmp_path, "https://git.example/team/data.git")
    (tmp_path / ".git" / "config").write_text("[remote\n")
    assert code_location(location) is None
