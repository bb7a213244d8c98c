"""What a broken rule does, and what an empty partition means to one.

Named by all kinds of checks.
"""

from typing import Literal

Effect = Literal["fail", "warn", "quarantine"]
OnEmpty = Literal["pass", "warn", "fail"]
