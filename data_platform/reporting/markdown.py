"""Markdown that Dagster's UI shows, in which data can't become markup.

Used by `previews` and `range_reports`. The UI renders GitHub's flavour and lets no script through;
here everything that means something in it is escaped, so that a value reads as it is.
"""

import re
from collections.abc import Sequence

from data_platform.engine.texts import printable

NULL = "*NULL*"

_SIGNS = re.compile(r"[\\`*\[\]|~]|(?<![^\W_])_|_(?![^\W_])")
"""What stands for markup within a line; `_` only at the edge of a word."""


def escaped(text: str, width: int | None = None) -> str:
    """Text as it is, in one line.

    Args:
        text: anything.
        width: of characters, above which it is cut.
    """
    line = printable(text)
    if width is not None and len(line) > width:
        line = f"{line[: width - 1]}…"
    line = line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _SIGNS.sub(lambda found: f"\\{found[0]}", line)


def table(headers: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[bool]) -> str:
    """A table; headers and cells are Markdown already.

    Args:
        headers: of the columns.
        rows: a cell for each column.
        right: which columns are aligned to the right.
    """
    rule = ["---:" if one else "---" for one in right]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (headers, rule, *rows))
