"""Why an asset ran or doesn't, for people and for programs.

Called by the command's `why`.
"""

from typing import Any

from rich.console import Console

from data_platform.observability.reasons.why import Why
from data_platform.terminal.console import say
from data_platform.terminal.tables import BAD, GOOD, POOR, QUIET

_STYLES = {"built": GOOD, "runs": GOOD, "failed": BAD, "paused": BAD}


def print_why(console: Console, why: Why) -> None:
    """Print the answer, then what it stands on, then what to do."""
    answer = why.answer
    say(console, why.sentence, _STYLES.get(answer.state, POOR))
    for fact in answer.facts:
        say(console, f"  {fact}")
    evaluation = why.evaluation
    if evaluation is not None:
        about = f" of {why.partition}" if why.partition else ""
        say(console, f"its condition{about}, as it was judged {evaluation.at:%Y-%m-%d %H:%M %Z}:")
        for part in evaluation.parts:
            sign, style = ("✓", GOOD) if part.true else ("·", QUIET)
            say(console, f"  {'  ' * part.depth}{sign} {part.label}", style)
    for advice in answer.advice:
        say(console, f"-> {advice}", QUIET)


def why_json(why: Why) -> dict[str, Any]:
    """The same as plain values."""
    answer, evaluation = why.answer, why.evaluation
    return {
        "format": 1,
        "key": str(why.key),
        "partition": why.partition,
        "state": answer.state,
        "answer": why.sentence,
        "facts": list(answer.facts),
        "advice": list(answer.advice),
        "run": answer.run_id,
        "waits_for": str(answer.waits_for) if answer.waits_for else None,
        "next_at": answer.next_at.isoformat() if answer.next_at else None,
        "evaluation": {
            "at": evaluation.at.isoformat(),
            "requested": evaluation.requested,
            "runs": list(evaluation.runs),
            "parts": [
                {"label": part.label, "true": part.true, "depth": part.depth}
                for part in evaluation.parts
            ],
        }
        if evaluation
        else None,
    }
