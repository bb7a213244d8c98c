"""What the shell offers after Tab: pipelines, assets and partitions, as far as files tell.

Called by click through the parameters of `cli`, in a process of its own for each Tab. So it reads
names line by line instead of planning, connects to nothing, and where something is wrong it offers
nothing: an error would be written into the line that somebody is typing.
"""

import functools
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem, get_completion_class

from data_platform.settings import load_settings, read_env_file

if TYPE_CHECKING:
    from data_platform.plan.partitions import Partitions

PROGRAM = "data-platform"
"""As pyproject.toml installs it."""
SHELLS = ("bash", "zsh", "fish")
INSTALLING = {
    "bash": "echo 'eval \"$({program} completion bash)\"' >> ~/.bashrc",
    "zsh": "echo 'eval \"$({program} completion zsh)\"' >> ~/.zshrc",
    "fish": "{program} completion fish > ~/.config/fish/completions/{program}.fish",
}
"""A line for each shell; it holds in shells that are started afterwards."""

MAX_OFFERED = 40
"""Of partitions at once; of more, the first of each month or year is offered."""

_PIPELINE_FILE = "pipeline.yaml"
_PLATFORM_FILE = "platform.yaml"
Offer = Callable[[click.Context, click.Parameter, str], list[CompletionItem[str]]]


def completion_script(shell: str, command: click.Command) -> str:
    """What a shell has to run to complete the command, with how to install it as a comment."""
    kind = get_completion_class(shell)
    if kind is None:
        raise ValueError(f"no completion for {shell!r}")
    variable = f"_{PROGRAM}_COMPLETE".replace("-", "_").upper()  # as click derives it
    install = INSTALLING[shell].format(program=PROGRAM)
    source = kind(command, {}, PROGRAM, variable).source()
    note = f"# Completion of {PROGRAM} in {shell}. To have it in every new shell:\n#   {install}\n"
    # zsh looks for `#compdef` in the first line of a file that it loads by itself.
    head, _, rest = source.partition("\n")
    return f"{head}\n{note}{rest}" if head.startswith("#compdef") else note + source


def _silent(
    find: Callable[[click.Context, str], Iterable[str]],
) -> Offer:
    """An offer of what begins with what is typed; of nothing where anything is wrong."""

    @functools.wraps(find)
    def offer(context: click.Context, _: click.Parameter, typed: str) -> list[CompletionItem[str]]:
        try:
            read_env_file(Path.cwd())
            return [CompletionItem(value) for value in find(context, typed)]
        except Exception:  # noqa: BLE001 -- whatever it is, `check` is where it is told
            return []

    return offer


@_silent
def pipelines(_: click.Context, typed: str) -> Iterator[str]:
    """Names of pipelines, broken ones included."""
    return (file.parent.name for file in _files() if file.parent.name.startswith(typed))


@_silent
def connections(_: click.Context, typed: str) -> Iterator[str]:
    """Databases of platform.yaml."""
    written = _data(load_settings().pipelines_dirs[0] / _PLATFORM_FILE).get("connections") or {}
    databases = (name for name, said in written.items() if said["type"] == "database")
    return (name for name in databases if name.startswith(typed))


@_silent
def channels(_: click.Context, typed: str) -> Iterator[str]:
    """Channels of platform.yaml."""
    written = _data(load_settings().pipelines_dirs[0] / _PLATFORM_FILE).get("alerts") or {}
    return (name for name in written.get("channels") or {} if name.startswith(typed))


@_silent
def assets(context: click.Context, typed: str) -> Iterator[str]:
    """Keys `layer/pipeline/name`, of the command's pipeline if it names one."""
    keys = ("/".join(key) for key in _assets(_named(context)))
    return (key for key in keys if key.startswith(typed))


@_silent
def held_assets(_: click.Context, typed: str) -> Iterator[str]:
    """Keys of what may have rows in quarantine: staging."""
    keys = ("/".join(key) for key in _assets(None) if key[0] == "staging")
    return (key for key in keys if key.startswith(typed))


@_silent
def selectable(context: click.Context, typed: str) -> Iterator[str]:
    """Assets of the command's pipeline as `layer/name`."""
    keys = (f"{layer}/{name}" for layer, _, name in _assets(_named(context)))
    return (key for key in keys if key.startswith(typed))


@_silent
def parameters(context: click.Context, typed: str) -> Iterator[str]:
    """Parameters of the command's pipeline, as `name=` and `layer/name.parameter=`."""
    found = list(_parameters(_named(context)))
    names = dict.fromkeys(f"{name}=" for _, _, name in found)
    of_one = (f"{layer}/{asset}.{name}=" for layer, asset, name in found)
    return (one for one in [*names, *of_one] if one.startswith(typed))


@_silent
def partitions(context: click.Context, typed: str) -> Sequence[str]:
    """Keys of partitions that are due, newest first."""
    due = _partitions(context).due(datetime.now(UTC))
    return _thinned([key for key in due[::-1] if key.startswith(typed)])


@_silent
def starts(context: click.Context, typed: str) -> Sequence[str]:
    """Where a range may begin: the times that are due, newest first."""
    due = _partitions(context).timed.due(datetime.now(UTC))
    return _thinned([key for key in due[::-1] if key.startswith(typed)])


@_silent
def ends(context: click.Context, typed: str) -> Sequence[str]:
    """Where a range may end: what comes after each time that is due."""
    time = _partitions(context).timed
    after = [time.following(key) for key in time.due(datetime.now(UTC))]
    return _thinned([key for key in after[::-1] if key.startswith(typed)])


def _thinned(keys: Sequence[str]) -> Sequence[str]:
    """The keys; of too many, the first of each day, of each month, or of each year."""
    for length in (None, len("2024-01-01"), len("2024-01"), len("2024")):
        firsts: dict[str, str] = {key[:length]: key for key in keys}
        if len(firsts) <= MAX_OFFERED:
            return list(firsts.values())
    return []


def _files() -> Iterator[Path]:
    for folder in load_settings().pipelines_dirs:
        yield from sorted(folder.glob(f"*/{_PIPELINE_FILE}"))


def _named(context: click.Context) -> str | None:
    """The pipeline, or the asset's key, that stands before the word that is completed.

    After an option that still wants its value click leaves the words before it unread.
    """
    given = context.params.get("pipeline") or context.params.get("key")
    return given or (context.args[0] if context.args else None)


def _assets(pipeline: str | None) -> Iterator[tuple[str, str, str]]:
    from data_platform.spec.guessing import guess_assets  # noqa: PLC0415

    for file in _files():
        if pipeline in (None, file.parent.name):
            found = guess_assets(file.parent.name, file)
            # Lines tell nothing of `sources: {orders: ...}`.
            yield from found or guess_assets(file.parent.name, file, _data(file))


def _parameters(pipeline: str | None) -> Iterator[tuple[str, str, str]]:
    """Layer, asset and name of each parameter that YAML declares."""
    sections = {"sources": "raw", "staging": "staging", "analytics": "analytics"}
    for file in _files():
        data = _data(file) if pipeline in (None, file.parent.name) else {}
        for section, layer in sections.items():
            for asset, written in (data.get(section) or {}).items():
                for name in written.get("parameters") or {}:
                    yield layer, asset, name


def _partitions(context: click.Context) -> "Partitions":
    """Those of a pipeline; keys that are registered aren't asked for."""
    from zoneinfo import ZoneInfo  # noqa: PLC0415

    from data_platform.plan.partitions import (  # noqa: PLC0415
        Dimension,
        Partitions,
        TimePartitions,
    )

    named = _named(context) or ""
    name = named.split("/")[1] if "/" in named else named
    file = next(file for file in _files() if file.parent.name == name)
    declared = _data(file)["partitions"]
    named = declared.get("by") or {}
    by = [Dimension(name, name, tuple(map(str, named[name]["values"]))) for name in named]
    time, end = None, declared.get("end")
    if "every" in declared:
        time = TimePartitions(
            declared["every"],
            date.fromisoformat(declared["start"]),
            date.fromisoformat(end) if end else None,
            ZoneInfo(declared.get("timezone", "UTC")).key,
        )
    return Partitions(time, tuple(by), declared.get("dynamic"))


def _data(file: Path) -> dict[str, Any]:
    from data_platform.spec.document import read_document  # noqa: PLC0415

    return read_document(file).data
