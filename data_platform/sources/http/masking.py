"""What must not be shown of a conversation over HTTP: secrets, in every form that they are sent in.

Filled while requests are made; everything that goes into a message or a log passes through it. The
masker of the process does the masking; what is too short for it, since it would mask words of other
texts as well, is masked here, in what is said of this conversation alone.
"""

import re
from urllib.parse import quote, quote_plus

import httpx

from data_platform.secrets.forms import can_be_found
from data_platform.secrets.masker import know, mask
from data_platform.secrets.shapes import MASK

_SHORTEST = 3
"""Characters: what is shorter hides nothing, and would mask words."""
_LONGEST_URL = 200
_EXCERPT = 200
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u200b-\u200f\u202a-\u202e]+")


class Secrets:
    """Texts that are masked wherever they stand."""

    def __init__(self) -> None:
        self._forms: set[str] = set()

    def add(self, *texts: str) -> None:
        """Mask texts from now on, also as URLs and forms quote them; and all over the process."""
        know(*texts)
        for text in texts:
            if len(text) >= _SHORTEST and not can_be_found(text):
                self._forms |= {text, quote(text), quote(text, safe=""), quote_plus(text)}

    def masked(self, text: str) -> str:
        """A text without secrets."""
        text = mask(text)
        for form in sorted(self._forms, key=len, reverse=True):
            text = text.replace(form, MASK)
        return text

    def excerpt(self, text: str) -> str:
        """The first 200 characters of a text, on one line and without secrets."""
        line = " ".join(_UNPRINTABLE.sub(" ", self.masked(text)).split())
        return line if len(line) <= _EXCERPT else f"{line[:_EXCERPT]}..."

    def address(self, url: httpx.URL) -> str:
        """A URL as it may be shown: without who asks, and without secrets."""
        shown = self.masked(str(url.copy_with(userinfo=b"", fragment=None)))
        return shown if len(shown) <= _LONGEST_URL else f"{shown[:_LONGEST_URL]}..."
