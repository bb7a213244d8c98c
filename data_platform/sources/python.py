"""Rows that a person's function gives: asked once a partition, kept in scratch as they come.

Called by `raw.extraction`. A partition whose call raises doesn't take the others of its range with
it; an error that passes by itself, such as a connection that broke, is tried again with the step.
"""

# pyright: reportUnknownMemberType=false
# pyright: reportUnknownParameterType=false, reportUnknownArgumentType=false
# pyright: reportUnknownVariableType=false
# pyarrow comes without types.

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from data_platform.engine.calls import called, write_answer
from data_platform.errors import FunctionError
from data_platform.plan.functions import UserFunction


@dataclass(frozen=True)
class Given:
    """What a function gave.

    Attributes:
        keys: all partitions that it was asked for, by whose order files are numbered.
        files: of each that it gave, in order.
        failed: why it gave none, by partition.
    """

    keys: tuple[str, ...]
    files: Mapping[str, list[str]]
    failed: Mapping[str, str]


def ask(function: UserFunction, keys: Sequence[str], folder: Path) -> Given:
    """Call a function for each partition.

    Args:
        function: the person's.
        keys: the partitions.
        folder: in scratch, not there yet.

    Raises:
        TransientError: it couldn't reach something.
    """
    files: dict[str, list[str]] = {}
    failed: dict[str, str] = {}
    for number, key in enumerate(keys, 1):
        try:
            files[key] = write_answer(called(function, key), folder, number, "given")
        except FunctionError as error:
            failed[key] = str(error)
    return Given(tuple(keys), files, failed)
