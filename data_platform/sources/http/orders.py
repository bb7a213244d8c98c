"""The order of pages: which one comes first, which after one, and when there is none.

Used by `pagination`, which holds what comes to account. One class a kind of pagination.
"""

from typing import Any, Protocol, assert_never

import httpx

from data_platform.errors import SourceError
from data_platform.sources.http.pages import MISSING, Page
from data_platform.sources.http.requests import Request
from data_platform.spec.http import (
    CursorPagination,
    LinkPagination,
    OffsetPagination,
    PagePagination,
)

_NO_MORE = (None, False, 0, "", "false", "False", "0")


class Order(Protocol):
    """The order of pages."""

    max_pages: int

    def first(self, request: Request) -> Request:
        """What asks for the first page."""
        ...

    def after(self, request: Request, page: Page, records: int) -> Request | None:
        """What asks for the page after one, `records` with it; None where it was the last."""
        ...

    def largest(self) -> int | None:
        """Records of a page at most, where that is asked for."""
        ...


def order_of(
    pagination: PagePagination | OffsetPagination | CursorPagination | LinkPagination,
) -> Order:
    """The order that was declared."""
    match pagination:
        case PagePagination():
            return _ByNumber(pagination)
        case OffsetPagination():
            return _ByOffset(pagination)
        case CursorPagination():
            return _ByCursor(pagination)
        case LinkPagination():
            return _ByLink(pagination)
        case _:
            assert_never(pagination)


def _ended(pagination: PagePagination | OffsetPagination, page: Page, records: int) -> bool:
    """Whether a page was the last: as the answer says, else an empty one is."""
    if pagination.has_more_path is not None:
        more = page.at(pagination.has_more_path)
        if more is MISSING:
            raise _no_such(pagination.has_more_path, "word", more)
        return more in _NO_MORE
    if pagination.total_path is not None:
        return not page.records or records >= count_at(page, pagination.total_path)
    return not page.records


class _ByNumber:
    def __init__(self, pagination: PagePagination) -> None:
        self._pagination = pagination
        self._number = pagination.first_page
        self.max_pages = pagination.max_pages

    def first(self, request: Request) -> Request:
        given = self._pagination
        asked = {given.page_param: self._number, given.size_param: given.page_size}
        return request.asking(**asked)

    def after(self, request: Request, page: Page, records: int) -> Request | None:
        if _ended(self._pagination, page, records):
            return None
        self._number += 1
        return request.asking(**{self._pagination.page_param: self._number})

    def largest(self) -> int | None:
        return self._pagination.page_size


class _ByOffset:
    def __init__(self, pagination: OffsetPagination) -> None:
        self._pagination = pagination
        self.max_pages = pagination.max_pages

    def first(self, request: Request) -> Request:
        given = self._pagination
        return request.asking(**{given.offset_param: 0, given.limit_param: given.page_size})

    def after(self, request: Request, page: Page, records: int) -> Request | None:
        if _ended(self._pagination, page, records):
            return None
        # By what came, not by what was asked for: a server may give less than that.
        return request.asking(**{self._pagination.offset_param: records})

    def largest(self) -> int | None:
        return self._pagination.page_size


class _ByCursor:
    def __init__(self, pagination: CursorPagination) -> None:
        self._pagination = pagination
        self.max_pages = pagination.max_pages

    def first(self, request: Request) -> Request:
        return request

    def after(self, request: Request, page: Page, records: int) -> Request | None:
        del records
        following = page.at(self._pagination.next_path)
        if following is MISSING or following in (None, "", False):
            return None
        if isinstance(following, bool) or not isinstance(following, str | int):
            raise _no_such(self._pagination.next_path, "cursor", following)
        return request.asking(**{self._pagination.cursor_param: following})

    def largest(self) -> int | None:
        return None


class _ByLink:
    def __init__(self, pagination: LinkPagination) -> None:
        self.max_pages = pagination.max_pages

    def first(self, request: Request) -> Request:
        return request

    def after(self, request: Request, page: Page, records: int) -> Request | None:
        del records
        links = httpx.Response(200, headers=page.answer.headers).links
        url = links.get("next", {}).get("url")
        if url is None:
            return None
        try:
            following = page.answer.request.url.join(url)
        except (httpx.InvalidURL, UnicodeError):
            following = None
        if following is None or following.scheme not in ("http", "https"):
            raise SourceError("the header Link names as next what is no address of the web")
        return request.to(following)

    def largest(self) -> int | None:
        return None


def count_at(page: Page, path: str) -> int:
    """The number of records that an answer tells."""
    found = page.at(path)
    number = int(found) if isinstance(found, str) and found.isdecimal() else found
    if isinstance(number, bool) or not isinstance(number, int) or number < 0:
        raise _no_such(path, "number", found)
    return number


def _no_such(path: str, what: str, found: Any) -> SourceError:
    where = "isn't there" if found is MISSING else f"is no {what}"
    return SourceError(f"{path} {where} in the answer")
