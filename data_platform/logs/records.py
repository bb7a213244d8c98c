"""Lines of logs as Python makes them: without secrets, and knowing what they are about.

Installed by `setting_up` for the whole process, so that whatever handles a line, here or in a
library, gets it in this way.
"""

# pyright: reportIncompatibleVariableOverride=false
# What are attributes of Python's lines are properties here.

import logging
from typing import Any

from data_platform.logs.surroundings import Surroundings, current
from data_platform.secrets.masker import mask


class PlatformRecord(logging.LogRecord):
    """A line.

    Attributes:
        surroundings: what it is about.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.surroundings: Surroundings = current()

    def getMessage(self) -> str:  # noqa: N802 -- Python's name
        """What it says."""
        return mask(super().getMessage())

    @property
    def exc_text(self) -> str | None:
        """An error with its traceback, where a formatter has put it."""
        return self.__dict__.get("_exc_text")

    @exc_text.setter
    def exc_text(self, text: str | None) -> None:
        self.__dict__["_exc_text"] = mask(text) if text else text

    @property
    def stack_info(self) -> str | None:
        """Where it was made, where somebody asked for it."""
        return self.__dict__.get("_stack_info")

    @stack_info.setter
    def stack_info(self, text: str | None) -> None:
        self.__dict__["_stack_info"] = mask(text) if text else text
