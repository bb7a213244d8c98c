"""Where the command's tables go: a terminal in colour, or a pipe without.

Called by `cli`. 80 columns where nobody says how wide it is; `NO_COLOR` leaves no escape sequence.
"""

from collections.abc import Mapping

from rich.console import Console

WIDTH = 80


def make_console(environ: Mapping[str, str]) -> Console:
    """A console on standard output.

    Args:
        environ: for NO_COLOR, of any value that isn't empty.
    """
    plain = bool(environ.get("NO_COLOR"))
    return Console(
        color_system=None if plain else "auto",
        highlight=False,
        markup=False,
        emoji=False,
    )
