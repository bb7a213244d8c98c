"""What Dagster's resolvers know of a request: who it is from, and what they may show.

Made by `serving`.
"""

from dagster import DagsterInstance
from dagster._core.storage.tags import REPORTING_USER_TAG
from dagster._core.workspace.context import WorkspaceProcessContext, WorkspaceRequestContext
from dagster._core.workspace.load_target import WorkspaceLoadTarget
from dagster_webserver.version import __version__

from data_platform.instance.users import user_of_request, user_tags


class PlatformRequestContext(WorkspaceRequestContext):
    """A request of somebody."""

    @property
    def show_instance_config(self) -> bool:
        """Whether the page of dagster.yaml is shown: those who only read needn't know it."""
        return not self.read_only

    def get_viewer_tags(self) -> dict[str, str]:
        """Of a backfill that is begun."""
        user = user_of_request()
        return {} if user is None else user_tags(user)

    def get_reporting_user_tags(self) -> dict[str, str]:
        """Of a build or an observation that is told."""
        user = user_of_request()
        return {} if user is None else {REPORTING_USER_TAG: user}


class PlatformProcessContext(WorkspaceProcessContext):
    """The code locations of the server."""

    def __init__(
        self, instance: DagsterInstance, target: WorkspaceLoadTarget, *, read_only: bool
    ) -> None:
        """Ask each code location what it has.

        Args:
            instance: Dagster's.
            target: where the code locations are.
            read_only: nobody has a permission.
        """
        super().__init__(
            instance, workspace_load_target=target, version=__version__, read_only=read_only
        )
        self._reads = read_only

    def create_request_context(self, source: object | None = None) -> PlatformRequestContext:
        """What a request sees: the code locations as they are now."""
        return PlatformRequestContext(
            instance=self.instance,
            current_workspace=self.get_current_workspace(),
            process_context=self,
            version=self.version,
            source=source,
            read_only=self._reads,
        )
