"""How pages follow one another: all of them, each once, or an error that says what is amiss.

Called by `arriving` for each partition. Pure: what asks is handed in. Where pages don't fit
together, because a page came twice or the data changed meanwhile, all are asked for again.
"""

from collections.abc import Callable, Iterator

from data_platform.errors import SourceError
from data_platform.sources.http.orders import count_at, order_of
from data_platform.sources.http.pages import Page
from data_platform.sources.http.requests import Request
from data_platform.spec.http import NoPagination, Pagination


class Unsound(Exception):
    """Pages don't fit together.

    Args:
        about: in what.
        passing: whether the data is on the move, so that asking again later may do.
    """

    def __init__(self, about: str, *, passing: bool) -> None:
        super().__init__(about)
        self.passing = passing


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
    order, total = order_of(pagination), _Total(getattr(pagination, "total_path", None))
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
        found = count_at(page, self._path)
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
