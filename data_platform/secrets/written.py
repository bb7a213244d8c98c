"""Secrets of the environment that platform.yaml and pipelines refer to, known before they are used.

Called by `loading`, and where Dagster's storage is opened. A person's code may print all variables
before anything connects, and what a variable is called needn't tell that it holds a password. Files
are read; stores aren't asked, and what they keep becomes known when somebody uses it.
"""

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any, cast

from data_platform.secrets.masker import know, know_address, know_environment, know_texts
from data_platform.spec import variables
from data_platform.spec.platform import Platform
from data_platform.spec.reading import Workspace
from data_platform.spec.references import Reference, VariableError
from data_platform.spec.variables import REFERENCES


def know_workspace(workspace: Workspace, environ: Mapping[str, str]) -> None:
    """Mask what the environment holds of secrets that the files refer to, and by its names.

    Args:
        workspace: as it is written.
        environ: of variables.
    """
    know_platform(workspace.platform, environ)
    for file in workspace.pipelines:
        for source in file.spec.sources.values():
            for name in REFERENCES:
                given = getattr(source, name, None)
                for text in _texts(given) if given else ():
                    know(*_values(text, environ))


def know_platform(platform: Platform, environ: Mapping[str, str]) -> None:
    """The same of platform.yaml alone: for processes that don't read pipelines.

    Args:
        platform: as it is written.
        environ: of variables.
    """
    know_environment(environ)
    for connection in platform.connections.values():
        know_texts(_expanded(connection.model_dump(by_alias=True), environ))
    whole = [
        platform.masking.key if platform.masking else None,
        platform.webhooks.secret if platform.webhooks else None,
        platform.lineage.api_key if platform.lineage else None,
    ]
    know(*(_expanded(text, environ) for text in whole if text))
    for channel in platform.alerts.channels.values():
        know_address(_expanded(channel.url, environ))


def _expanded(content: Any, environ: Mapping[str, str]) -> Any:
    """With the values of variables and files; no text where it needs more than these."""
    match content:
        case str():
            with contextlib.suppress(VariableError):
                return variables.expand(content, environ)
            return ""
        case dict():
            entries = cast("dict[str, Any]", content)
            return {name: _expanded(below, environ) for name, below in entries.items()}
        case list():
            return [_expanded(below, environ) for below in cast("list[Any]", content)]
        case _:
            return content


def _values(text: str, environ: Mapping[str, str]) -> Iterator[str]:
    """The values of a text's variables."""
    found: list[str] = []

    def note(_: Reference, value: str) -> None:
        found.append(value)

    with contextlib.suppress(VariableError):
        variables.expand(text, environ, tell=note)
    yield from found


def _texts(content: Any) -> Iterator[str]:
    """All texts of a model, or of what is in one."""
    match content:
        case str():
            yield content
        case dict():
            for below in cast("dict[str, Any]", content).values():
                yield from _texts(below)
        case list():
            for below in cast("list[Any]", content):
                yield from _texts(below)
        case _ if hasattr(content, "model_dump"):
            yield from _texts(content.model_dump(by_alias=True))
        case _:
            pass
