"""Runs launched by Dagster's webserver, from a machine that has neither pipelines nor storage.

Called by the command where `--url` is given. It asks GraphQL: which assets a pipeline has, which of
their partitions is the newest, and for the run.
"""

from collections.abc import Sequence
from typing import Any

import httpx
from dagster._core.storage.tags import PARTITION_NAME_TAG

from data_platform.errors import PermanentError, SourceUnavailable
from data_platform.triggering.asked import TRIGGER_TAG, Asked, Launched

REQUEST_SECONDS = 30.0
_ASSET_JOB = "__ASSET_JOB"

_ASSETS = """
query ($group: AssetGroupSelector!) {
  assetNodes(group: $group) {
    assetKey { path } isMaterializable isPartitioned
    partitionDefinition { name }
    partitionKeyConnection(limit: 1, ascending: false) { results }
  }
}
"""
_LOCATIONS = """
{ repositoriesOrError { ... on RepositoryConnection { nodes {
    name location { name } assetGroups { groupName }
} } } }
"""
_LAUNCH = """
mutation ($params: ExecutionParams!) { launchRun(executionParams: $params) {
    __typename
    ... on LaunchRunSuccess { run { runId } }
    ... on RunConfigValidationInvalid { errors { message } }
    ... on UnauthorizedError { message }
    ... on PythonError { message }
} }
"""
_KNOWN = """
query ($filter: RunsFilter!) {
  runsOrError(filter: $filter) { ... on Runs { results { runId } } }
}
"""
_TERMINATE = "mutation ($id: String!) { terminateRun(runId: $id) { __typename } }"
_STATUS = """
query ($id: ID!) { runOrError(runId: $id) { __typename ... on Run { status } } }
"""


class OverHttp:
    """Launches by a webserver.

    Args:
        url: of Dagster's webserver.
    """

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")
        self._client = httpx.Client(timeout=REQUEST_SECONDS)

    def launch(self, asked: Asked) -> Launched:
        """Launch the run, or find the one of its key.

        Raises:
            PermanentError: there is no such pipeline or asset, or Dagster refused.
            SourceUnavailable: the webserver can't be reached, or had trouble.
        """
        if known := self._of_key(asked):
            return self._launched(known, is_new=False)
        location, repository = self._location(asked.pipeline)
        assets = self._assets(asked, location, repository)
        partition = asked.partition or _newest(assets)
        tags = {**asked.tags, **({PARTITION_NAME_TAG: partition} if partition else {})}
        params = {
            "selector": {
                "repositoryLocationName": location,
                "repositoryName": repository,
                "jobName": _ASSET_JOB,
                "assetSelection": [{"path": one["assetKey"]["path"]} for one in assets],
            },
            "runConfigData": {},
            "executionMetadata": {
                "tags": [{"key": name, "value": value} for name, value in tags.items()]
            },
        }
        answer = self._asked(_LAUNCH, params=params)["launchRun"]
        if answer["__typename"] != "LaunchRunSuccess":
            errors = [one["message"] for one in answer.get("errors", [])]
            said = "; ".join(errors) or answer.get("message") or answer["__typename"]
            raise PermanentError(f"Dagster refused the run: {said.splitlines()[0]}")
        run_id = answer["run"]["runId"]
        first = self._of_key(asked) or run_id
        if first != run_id:
            # Somebody asked at the same time, and was first.
            self._asked(_TERMINATE, id=run_id)
        return self._launched(first, is_new=first == run_id)

    def _of_key(self, asked: Asked) -> str | None:
        """The first run that was asked for with the same key."""
        if asked.key is None:
            return None
        tags = [{"key": TRIGGER_TAG, "value": asked.tags[TRIGGER_TAG]}]
        found = self._asked(_KNOWN, filter={"tags": tags})["runsOrError"].get("results", [])
        return found[-1]["runId"] if found else None

    def _launched(self, run_id: str, *, is_new: bool) -> Launched:
        return Launched(run_id, f"{self._url}/runs/{run_id}", is_new=is_new)

    def status(self, run_id: str) -> str:
        """Of a run, as Dagster calls it."""
        found = self._asked(_STATUS, id=run_id)["runOrError"]
        if found["__typename"] != "Run":
            raise PermanentError(f"the run {run_id} isn't there any more: somebody removed it")
        return found["status"]

    def _location(self, pipeline: str) -> tuple[str, str]:
        found = self._asked(_LOCATIONS)["repositoriesOrError"].get("nodes", [])
        groups: list[str] = []
        for node in found:
            names = [group["groupName"] for group in node["assetGroups"]]
            groups += names
            if pipeline in names:
                return node["location"]["name"], node["name"]
        known = ", ".join(sorted(set(groups))) or "none"
        raise PermanentError(f"{self._url} serves no pipeline {pipeline!r}; there are {known}")

    def _assets(self, asked: Asked, location: str, repository: str) -> list[dict[str, Any]]:
        group = {
            "groupName": asked.pipeline,
            "repositoryLocationName": location,
            "repositoryName": repository,
        }
        found = self._asked(_ASSETS, group=group)["assetNodes"]
        assets = {_short(one): one for one in found if one["isMaterializable"]}
        unknown = [name for name in asked.select if name not in assets]
        if unknown:
            raise PermanentError(
                f"pipeline {asked.pipeline} has no asset {unknown[0]!r}; it has "
                f"{', '.join(sorted(assets))}"
            )
        return [assets[name] for name in asked.select or assets]

    def _asked(self, query: str, **variables: Any) -> dict[str, Any]:
        """The data of an answer."""
        try:
            answer = self._client.post(
                f"{self._url}/graphql", json={"query": query, "variables": variables}
            )
            # What a question gets wrong is told in JSON, whatever the status.
            told = answer.json() if _is_json(answer) else answer.raise_for_status().json()
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise SourceUnavailable(f"{self._url} doesn't answer as Dagster's: {error}") from error
        except ValueError:
            raise PermanentError(f"{self._url} is no webserver of Dagster's") from None
        if errors := told.get("errors"):
            raise PermanentError(f"{self._url} refuses: {errors[0]['message'].splitlines()[0]}")
        return told["data"]


def _is_json(answer: httpx.Response) -> bool:
    return answer.headers.get("content-type", "").startswith("application/json")


def _short(asset: dict[str, Any]) -> str:
    """A key as `--select` has it: `layer/name`."""
    path = asset["assetKey"]["path"]
    return f"{path[0]}/{path[-1]}"


def _newest(assets: Sequence[dict[str, Any]]) -> str | None:
    """The newest partition of those that have any; None where none has."""
    timed = [one for one in assets if one["isPartitioned"]]
    newest = {tuple(one["partitionKeyConnection"]["results"][:1]) for one in timed}
    if not timed:
        return None
    if len(newest) > 1:
        raise PermanentError(
            "these assets have partitions of several kinds: name those of one kind with --select, "
            "or a --partition"
        )
    found = newest.pop()
    if not found:
        raise PermanentError("these assets have no partition yet: name one with --partition")
    return found[0]
