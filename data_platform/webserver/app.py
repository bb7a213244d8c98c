"""Dagster's webserver, which refuses what it shouldn't do: the application.

Served by `serving`. Pages, GraphQL's resolvers and subscriptions are Dagster's. Dagster's own
`--read-only` looks at permissions, which some mutations don't ask for; here a document that holds
a mutation isn't executed.
"""

from asyncio import Task
from http import HTTPStatus
from typing import Any

from dagster_graphql.schema import create_schema
from dagster_webserver.webserver import DagsterWebserver
from graphene import Schema
from graphql import GraphQLError, GraphQLFormattedError, OperationType
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse
from starlette.routing import BaseRoute, Mount, Route
from starlette.websockets import WebSocket

from data_platform.instance.users import user_of_request
from data_platform.webserver.contexts import PlatformProcessContext, PlatformRequestContext
from data_platform.webserver.documents import READ_ONLY, operations_of, without_changes
from data_platform.webserver.gate import Gate, Refusal, Rules

_LIVE_DATA_MS = 2000
"""How often the UI asks for the state of assets that it shows: Dagster's default."""
_NOT_FOR_READERS = ("/report_asset_", "/notebook", "/dagit/notebook")
"""Routes that tell builds, and one that reads files of code locations."""
_JSON_ONLY = "send GraphQL as application/json: what forms and other types could send isn't taken"
_ONE_QUERY = "send one JSON object with `query`, a text; several at once aren't taken"
_BY_POST = "a mutation is sent by POST"
_SUBSCRIPTIONS = "a websocket is for subscriptions: send queries and mutations by POST"


class PlatformWebserver(DagsterWebserver[PlatformProcessContext, PlatformRequestContext]):
    """Dagster's UI and GraphQL."""

    def __init__(self, process_context: PlatformProcessContext, rules: Rules) -> None:
        """Make the application.

        Args:
            process_context: the code locations.
            rules: of what it takes.
        """
        self._rules = rules
        super().__init__(process_context, rules.prefix, _LIVE_DATA_MS)

    def build_graphql_schema(self) -> Schema:
        """Dagster's, where nothing may change without what changes."""
        schema = create_schema()
        return without_changes(schema) if self._rules.read_only else schema

    def build_middleware(self) -> list[Middleware]:
        """Dagster's, behind the gate."""
        return [Middleware(Gate, rules=self._rules), *super().build_middleware()]

    def build_routes(self) -> list[BaseRoute]:
        """Dagster's, but what isn't for those who only read."""
        routes = super().build_routes()
        return _for_readers(routes) if self._rules.read_only else routes

    async def graphql_http_endpoint(
        self, request: Request
    ) -> HTMLResponse | PlainTextResponse | JSONResponse:
        """Answer a question, or do what is asked."""
        if request.method == "POST":
            kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
            if kind != "application/json":
                return Refusal(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, _JSON_ONLY).response()
            if not await _is_one_query(request):
                return Refusal(HTTPStatus.BAD_REQUEST, _ONE_QUERY).response()
        return await super().graphql_http_endpoint(request)

    async def execute_graphql_request(
        self,
        request: Request,
        query: str,
        variables: dict[str, Any] | None,
        operation_name: str | None,
    ) -> JSONResponse:
        """Execute a document, if it may be."""
        refusal = self._refusal(request, query)
        if refusal is not None:
            return refusal.response()
        return await super().execute_graphql_request(request, query, variables, operation_name)

    async def execute_graphql_subscription(
        self,
        websocket: WebSocket,
        operation_id: str,
        query: str,
        variables: dict[str, Any] | None,
        operation_name: str | None,
    ) -> tuple[Task[Any] | None, GraphQLFormattedError | None]:
        """Begin to tell what happens."""
        try:
            others = operations_of(query) - {OperationType.SUBSCRIPTION}
        except GraphQLError as error:
            return None, error.formatted
        if others:
            return None, GraphQLError(_SUBSCRIPTIONS).formatted
        return await super().execute_graphql_subscription(
            websocket, operation_id, query, variables, operation_name
        )

    def _refusal(self, request: Request, query: str) -> Refusal | None:
        try:
            changes = OperationType.MUTATION in operations_of(query)
        except GraphQLError:
            return None  # Dagster says what is wrong with it
        if not changes:
            return None
        if self._rules.read_only:
            return Refusal(HTTPStatus.FORBIDDEN, READ_ONLY)
        if request.method != "POST":
            return Refusal(HTTPStatus.METHOD_NOT_ALLOWED, _BY_POST)
        return self._rules.unknown(user_of_request())


async def _is_one_query(request: Request) -> bool:
    """Whether the body is what Dagster can take; that it isn't JSON, Dagster says."""
    try:
        body = await request.json()
    except ValueError:
        return True
    return isinstance(body, dict) and isinstance(body.get("query"), str)


def _for_readers(routes: list[BaseRoute]) -> list[BaseRoute]:
    """Those routes that only read."""
    kept: list[BaseRoute] = []
    for route in routes:
        if isinstance(route, Mount) and route.name == "":
            kept.append(Mount(route.path, routes=_for_readers(list(route.routes))))
        elif not (isinstance(route, Route) and route.path.startswith(_NOT_FOR_READERS)):
            kept.append(route)
    return kept
