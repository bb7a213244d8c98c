"""What libyaml says about a broken text, in words that help who wrote it.

Called by `spec.yaml_tree` only.
"""

from typing import Any

import yaml

_QUOTE = "put the text in quotes"
_FLOW = f"{_QUOTE} if it holds , [ ] {{ }} or ${{...}}"
_ADVICE = {
    "mapping values are not allowed": (
        f"a ':' where none fits: {_QUOTE} if it holds ': ', else look at the indentation"
    ),
    "expected alphabetic or numeric character": f"a text can't start with '*' or '&': {_QUOTE}",
    "expected comment or line break": f"a text can't start with '>' or '|': {_QUOTE}",
    "expected ',' or '}'": f"expected ',' or '}}': {_FLOW}",
    "expected ',' or ']'": f"expected ',' or ']': {_FLOW}",
    "expected node content": f"expected a value; {_QUOTE} if it starts with , ] or }}",
    "expected key": (
        "expected a key: the indentation doesn't fit, or a text goes on after its quotes"
    ),
    "expected '-' indicator": "expected '- ': the indentation doesn't fit the list",
    "unknown escape character": ("an unknown escape after \\ in double quotes: use single quotes"),
}
"""What to do, by a part of what libyaml says."""


def explain(error: yaml.YAMLError, text: str) -> tuple[int, int, str]:
    """Line, column (from 1) and message of an error."""
    problem: str = getattr(error, "problem", None) or str(error)
    mark: Any = getattr(error, "problem_mark", None)
    start: Any = getattr(error, "context_mark", None)
    context: str = getattr(error, "context", None) or ""
    if "unexpected end of stream" in problem and "quoted" in context and start:
        return *_position(start), "the quote that opens here is never closed"
    message = _advice(problem, _character(text, mark))
    if message is None:
        message = f"no valid YAML: {problem}"
        if context and start:
            message += f" {context} that starts in line {start.line + 1}"
    elif start and start.line != mark.line:
        message += f" ({context} that starts in line {start.line + 1})"
    return *_position(mark or start), message


def _position(mark: Any) -> tuple[int, int]:
    return (mark.line + 1, mark.column + 1) if mark else (1, 1)


def _character(text: str, mark: Any) -> str:
    """The character at a mark."""
    return text[mark.index : mark.index + 1] if mark else ""


def _advice(problem: str, character: str) -> str | None:
    """What is most likely wrong; None where nothing better is known than libyaml's words."""
    if character == "\t" or "tab character" in problem:
        return "a tab can't indent: use spaces"
    if "cannot start any token" in problem:
        return f"a text can't start with {character!r}: {_QUOTE}"
    return next((advice for part, advice in _ADVICE.items() if part in problem), None)
