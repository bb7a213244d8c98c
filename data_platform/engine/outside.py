"""Outside systems, as a step reaches them: what sources read from and targets write to.

Made by `resources`; handed on by the stages.
"""

from collections.abc import Callable
from dataclasses import dataclass

from data_platform.spec.platform import Connection


@dataclass(frozen=True)
class Outside:
    """Outside systems.

    Attributes:
        connection: by its name, with secrets in place and the embedded server started.
        expand: a text with the values of its `${VAR}` and `${file:...}`.
    """

    connection: Callable[[str], Connection]
    expand: Callable[[str], str]
