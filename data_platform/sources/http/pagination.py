"""How pages follow one another: all of them, each once, or an error that says what is amiss.

Called by `arriving` for each partition. Pure: what asks is handed in. Where pages don't fit
together, because a page came twice or the data changed meanwhile, all are asked for again.
"""

from collections.abc import Callable, Iterator
from typing import Any, Protocol, assert_never

import httpx

from data_platform.errors import SourceError
from data_platform.sources.http.pages import MISSING, Page
from data_platform.sources.http.requests import Request
from data_platform.spec.http import (
    CursorPagination,
    LinkPagination,
    NoPagination,
    OffsetPagination,
    PagePagination,
    Pagination,
)

_NO_MORE = (None, False, 0, "", "false", "False", "0")


class Unsound(Exception):
    """Pages don't fit together.

    Args:
        about: in what.
        passing: whether the data is on the move, so that asking again later may do.
    """

    def __init__(self, about: str, *, passing: bool) -> None:
        super().__init__(about)
        self.passing = passing


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


def pages_of(
    request: Request, pagination: Pagination, ask: Callable[[Request], Page]
) -> Iterator[Page]:
    """All pages, in order.

    Args:
        request: of the partition.
        pagination: as declared.
        ask: asks for one page.

    Raises:
        Unsound: they don't fit together.
        SourceError: there are more than there may be, or one isn't what was asked for.
    """
    if isinstance(pagination, NoPagination):
        yield ask(request)
        return
    order, total = _order_of(pagination), _Total(getattr(pagination, "total_path", None))
    asked: Request | None = order.first(request)
    seen, before = set[str](), b""
    records = number = 0
    while asked is not None:
        _require_new(asked, seen)
        page, number = ask(asked), number + 1
        if number > order.max_pages and page.records:
            raise SourceError(
                f"there is more after {order.max_pages} pages ({records:,} records): "
                "raise max_pages, or ask for less"
            )
        _require_sound(page, before, number, order.largest())
        before = page.content if page.records else before
        records += len(page.records)
        total.look(page, number, records)
        yield page
        asked = order.after(asked, page, records)
        if asked is not None and number > order.max_pages:
            raise SourceError(
                f"the server goes on after {order.max_pages} pages and an empty one: "
                "raise max_pages, or ask for less"
            )
    total.require(records)


def _require_new(asked: Request, seen: set[str]) -> None:
    """The same request twice is a loop: of cursors, of links, of an offset that doesn't move."""
    content = asked.encoded()[0]
    key = f"{asked.url} {content.decode() if content else ''}"
    if key in seen:
        raise Unsound("the server names a page as the next one that it gave already", passing=False)
    seen.add(key)


def _require_sound(page: Page, before: bytes, number: int, largest: int | None) -> None:
    if largest is not None and len(page.records) > largest:
        raise SourceError(
            f"page {number} has {len(page.records):,} records, and {largest:,} were asked for: "
            "the server doesn't know the parameter of the page's size, or not this size"
        )
    if page.records and page.content == before:
        raise Unsound(f"page {number} has the very records of the page before", passing=False)


class _Total:
    """What an answer says of how many records there are in all."""

    def __init__(self, path: str | None) -> None:
        self._path = path
        self._first: int | None = None

    def look(self, page: Page, number: int, records: int) -> None:
        """At a page: the total must stay, and not be overtaken."""
        if self._path is None:
            return
        found = _count_at(page, self._path)
        if self._first is None:
            self._first = found
        if found != self._first:
            raise Unsound(
                f"{self._path} was {self._first:,} on the first page and is {found:,} on page "
                f"{number}: the data changed between pages",
                passing=True,
            )
        if records > found:
            self._refuse(records)

    def require(self, records: int) -> None:
        """At the end."""
        if self._first is not None and records != self._first:
            self._refuse(records)

    def _refuse(self, records: int) -> None:
        raise Unsound(
            f"{self._path} says {self._first:,} records, and there came {records:,}", passing=False
        )


def _count_at(page: Page, path: str) -> int:
    found = page.at(path)
    number = int(found) if isinstance(found, str) and found.isdecimal() else found
    if isinstance(number, bool) or not isinstance(number, int) or number < 0:
        raise _no_such(path, "number", found)
    return number


def _no_such(path: str, what: str, found: Any) -> SourceError:
    where = "isn't there" if found is MISSING else f"is no {what}"
    return SourceError(f"{path} {where} in the answer")


def _order_of(
    pagination: PagePagination | OffsetPagination | CursorPagination | LinkPagination,
) -> Order:
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
        return not page.records or records >= _count_at(page, pagination.total_path)
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
