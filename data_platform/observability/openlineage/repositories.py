"""Where the text that declares an asset is in a repository of Git, as a browser finds it.

Called by `describing`. Reads Git's own files; no program is run, and nothing is asked of a server.
"""

import configparser
import functools
import re
from pathlib import Path
from urllib.parse import quote

from openlineage.client import git
from openlineage.client.facet_v2 import source_code_location_job

from data_platform.errors import Location

_SSH = re.compile(r"(?:ssh://)?(?:[^@/]+@)(?P<host>[^:/]+)(?::\d+/|[:/])(?P<path>.+)")
_HTTP = re.compile(r"https?://(?:[^@/]*@)?(?P<host>[^/]+)/(?P<path>.+)")


def code_location(
    location: Location,
) -> source_code_location_job.SourceCodeLocationJobFacet | None:
    """The facet of a place; None where it is in no repository that others may find."""
    top = _repository(location.file.parent)
    if top is None:
        return None
    directory = top / ".git"
    try:
        remote = _web_address(git.get_git_repo_url(git_dir=directory) or "")
        version = git.get_git_version(directory)
    except (OSError, ValueError, configparser.Error):
        return None
    if remote is None or version is None:
        return None
    path = location.file.relative_to(top).as_posix()
    return source_code_location_job.SourceCodeLocationJobFacet(
        type="git",
        url=f"{remote}/blob/{version}/{quote(path)}#L{location.line}",
        repoUrl=remote,
        path=path,
        version=version,
        branch=git.get_git_branch(directory),
    )


@functools.cache
def _repository(folder: Path) -> Path | None:
    """The folder of a checkout; a worktree beside it has no directory of its own and is passed."""
    return next((one for one in (folder, *folder.parents) if (one / ".git").is_dir()), None)


def _web_address(remote: str) -> str | None:
    """Where people look at a repository, without who asks; None for one of this machine."""
    found = _HTTP.fullmatch(remote) or _SSH.fullmatch(remote)
    return f"https://{found['host']}/{found['path'].removesuffix('.git')}" if found else None
