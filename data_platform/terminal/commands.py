"""The group of all commands: what they raise becomes a message and an exit code.

Called by `cli`. 1 is what the platform reports, 2 wrong usage, 130 Ctrl-C; anything else is a bug
and shows its traceback.
"""

import errno
import shutil
import sys
import textwrap
from pathlib import Path
from typing import Any

import click

from data_platform.errors import PlatformError
from data_platform.logs.output import masked_output
from data_platform.secrets.masker import mask
from data_platform.terminal.problem_lines import error_lines

INTERRUPTED = 130
"""What a shell gives a program that Ctrl-C ended: 128 and the signal's number."""

_PRINTS_ROWS = frozenset({"query"})
"""Commands that give rows of tables, as they are."""
_SURROUNDINGS = {
    errno.EACCES: "the user that runs this may not do that; choose another folder, or change whose "
    "it is",
    errno.EPERM: "the user that runs this may not do that; choose another folder, or change whose "
    "it is",
    errno.EROFS: "it can't be written; set DATA_PLATFORM_DATA_DIR to a folder that can",
    errno.ENOSPC: "free some space, or set DATA_PLATFORM_DATA_DIR to a folder on another disk",
    errno.EDQUOT: "free some space, or set DATA_PLATFORM_DATA_DIR to a folder on another disk",
    errno.EEXIST: "a file is where a folder must be: move it away",
    errno.ENOTDIR: "a file is where a folder must be: move it away",
    errno.EISDIR: "a folder is where a file must be: move it away",
}
"""What to do about errors of the file system; others are bugs."""


class Commands(click.Group):
    """Commands whose errors are messages."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; what it prints is masked until it has ended."""
        name, command, rest = super().resolve_command(ctx, args)
        if name not in _PRINTS_ROWS and not ctx.resilient_parsing:
            ctx.with_resource(masked_output())
        return name, command, rest

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command, and turn what it raises into a line and an exit code."""
        try:
            return super().invoke(ctx)
        except PlatformError as error:
            for line in error_lines(error, Path.cwd()):
                complain(mask(line))
            ctx.exit(1)
        except OSError as error:
            if error.filename is None or error.errno not in _SURROUNDINGS:
                raise
            advice = _SURROUNDINGS[error.errno]
            complain(f"Error: {error.filename}: {error.strerror}: {advice}")
            ctx.exit(1)
        except KeyboardInterrupt:
            click.echo("Interrupted.", err=True)
            ctx.exit(INTERRUPTED)


def complain(line: str) -> None:
    """An error; folded between words on a terminal, whole for programs that look for it.

    A place in a file stays in one line too: editors and terminals make a link of it.
    """
    if line.startswith("Error: ") and sys.stderr.isatty():
        width = shutil.get_terminal_size().columns
        line = "\n".join(
            textwrap.fill(
                part, width, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False
            )
            for part in line.splitlines()
        )
    click.echo(line, err=True)
