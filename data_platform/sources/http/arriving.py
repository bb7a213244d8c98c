"""Records of an HTTP API: each partition is asked for by itself, page by page, into scratch.

Called by `sources.answering`. A partition that is refused fails alone; what may pass, and
credentials that aren't taken, end the step. Must not hold more than a page.
"""

import json
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from data_platform.errors import SourceError, SourceUnavailable
from data_platform.plan.naming import PARTITION, WHOLE
from data_platform.plan.sources.kinds import Api
from data_platform.sources.arrivals import Arrival, Marks, Question
from data_platform.sources.http.asking import Manner
from data_platform.sources.http.auth import NotLetIn
from data_platform.sources.http.client import Client, opened
from data_platform.sources.http.masking import Secrets
from data_platform.sources.http.pages import Page, read_page
from data_platform.sources.http.pagination import Unsound, pages_of
from data_platform.sources.http.questions import (
    Place,
    fingerprint,
    place_of,
    request_of,
    values_of,
)
from data_platform.sources.http.requests import Answer, Request
from data_platform.sources.json_records.query import records_query
from data_platform.sources.translated import translated
from data_platform.spec.http import NoPagination

READINGS = 3
"""Times that all pages of a partition are asked for before they are said not to fit together."""
_NOT_MODIFIED = 304
_ASKED, _ETAG, _MODIFIED = "asked", "etag", "last_modified"


@dataclass
class _Given:
    """What came of the partitions.

    Attributes:
        files: of each that has records.
        failed: why a partition has none to land.
        unchanged: of which the server says that nothing changed.
        marks: what it says of the state of the others.
        records: in all.
    """

    files: dict[str, Path]
    failed: dict[str, str]
    unchanged: set[str]
    marks: dict[str, Marks]
    records: int = 0


@contextmanager
def arriving(question: Question, source: Api) -> Generator[Arrival]:
    """The records of an API.

    Raises:
        SourceError: it lets nobody in, or gave what can't be kept.
        SourceUnavailable: it can't be reached, or has trouble.
    """
    secrets = Secrets()
    place = place_of(question, source, secrets)
    timeout = source.request_timeout
    manner = Manner(place.address, source.retry, place.headers, place.auth, timeout, place.limit)
    with opened(manner, secrets) as client, question.work.stoppable(client.stop):
        given = _Partitions(question, source, place, client, secrets).ask()
    with translated(f"{question.node.key}"):
        yield _arrival(question, given)


class _Partitions:
    """Asks for one partition after the other."""

    def __init__(
        self, question: Question, source: Api, place: Place, client: Client, secrets: Secrets
    ) -> None:
        self._question = question
        self._source = source
        self._place = place
        self._client = client
        self._secrets = secrets
        self._folder = question.scratch / "records"
        self._folder.mkdir()

    def ask(self) -> _Given:
        given = _Given({}, {}, set(), {})
        for number, key in enumerate(self._question.keys):
            self._question.work.go_on()
            trouble: SourceError | SourceUnavailable | None = None
            try:
                self._ask_for(key, self._folder / f"{number}.jsonl", given)
            except NotLetIn as error:
                trouble = SourceError(self._worded(key, error))
            except SourceError as error:
                given.failed[key] = self._worded(key, error)
            except SourceUnavailable as error:
                trouble = SourceUnavailable(self._worded(key, error))
            # Raised out here: what it came of may hold what isn't to be shown.
            if trouble is not None:
                raise trouble
        return given

    def _worded(self, key: str, error: Exception) -> str:
        of = "" if key == WHOLE else f" {key}"
        return self._secrets.masked(f"{self._question.node.key}{of}: {error}")

    def _ask_for(self, key: str, file: Path, given: _Given) -> None:
        """One partition; all its pages again where they don't fit together."""
        request = request_of(self._question, self._source, self._place, key, self._secrets)
        asked = fingerprint(self._source, self._place, values_of(self._question, key))
        plain, request = request, self._on_condition(request, key, asked)
        trouble: Unsound | None = None
        for _ in range(READINGS):
            try:
                records, last = self._pages_into(file, request, key)
            except Unsound as error:
                trouble = error
                continue
            if last is not None and last.answer.status == _NOT_MODIFIED:
                if request is plain:
                    raise SourceError("it answered 304, and was asked without a condition")
                given.unchanged.add(key)
                return
            given.files[key] = file
            given.records += records
            if last is not None and isinstance(self._source.pagination, NoPagination):
                given.marks |= _marks(key, last.answer, asked)
            return
        advice = f"{trouble}; the pages were asked for {READINGS} times"
        raise SourceUnavailable(advice) if trouble and trouble.passing else SourceError(advice)

    def _pages_into(self, file: Path, request: Request, key: str) -> tuple[int, Page | None]:
        """Write the records of all pages; how many, and the last page."""
        many = not isinstance(self._source.pagination, NoPagination)
        work, count, page = self._question.work, 0, None

        def ask(request: Request) -> Page:
            return self._client.ask(request, read)

        def read(answer: Answer) -> Page:
            path, shown = self._source.data_path, self._secrets.excerpt
            return read_page(answer, path, many=many, shown=shown)

        head = json.dumps({PARTITION: key})[:-1]
        with file.open("w", encoding="utf-8") as lines:
            for page in pages_of(request, self._source.pagination, ask):
                for record in page.records:
                    rest = record[1:].lstrip()
                    lines.write(f"{head}{'' if rest.startswith('}') else ','}{rest}\n")
                count += len(page.records)
                work.count(len(page.records), len(page.answer.body))
                work.go_on()
        return count, page

    def _on_condition(self, request: Request, key: str, asked: str) -> Request:
        """Ask for what changed only, where the data stands that came of the very same request."""
        landing = self._question.landings.get(key)
        marks: Marks = landing.marks if landing else {}
        if (
            marks.get(_ASKED) != asked
            or request.method != "GET"
            or not isinstance(self._source.pagination, NoPagination)
        ):
            return request
        conditions = {"If-None-Match": _ETAG, "If-Modified-Since": _MODIFIED}
        given = {header: marks[mark] for header, mark in conditions.items() if mark in marks}
        return request.with_headers(given) if given else request


def _marks(key: str, answer: Answer, asked: str) -> Mapping[str, Marks]:
    """What the server says of the state of what it gave, to be told to it the next time."""
    said = {_ETAG: answer.headers.get("ETag"), _MODIFIED: answer.headers.get("Last-Modified")}
    marks = {name: value for name, value in said.items() if value}
    return {key: {**marks, _ASKED: asked}} if marks else {}


def _arrival(question: Question, given: _Given) -> Arrival:
    unchanged = frozenset(given.unchanged)
    if not given.files:
        return Arrival(None, given.failed, unchanged)
    types = {name: kind for name, kind in question.types.items() if name != PARTITION}
    if not given.records and not types:
        raise SourceError(
            f"{question.node.key}: there are no records, and nothing says which columns there "
            "are: name them with their types in `columns`"
        )
    paths = list(given.files.values())
    known = {**types, PARTITION: "VARCHAR"}
    try:
        query = records_query(question.session, paths, known, lines=True)
    except SourceError as error:
        raise SourceError(f"{question.node.key}: {error}") from None
    return Arrival(query, given.failed, unchanged, given.marks)
