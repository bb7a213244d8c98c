"""What a step works with: the lake, a DuckDB session and a scratch folder that ends with it.

Made by `resources` from settings and platform.yaml; handed to the stages and to the command.
"""

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from data_platform.engine.session import Session, open_session
from data_platform.engine.work import Work
from data_platform.errors import PermanentError
from data_platform.plan.nodes import Node
from data_platform.plan.parameters import SQL_TYPES, values_of
from data_platform.spec.parameters import ParameterValue
from data_platform.storage.lake import Lake
from data_platform.storage.scratch import scratch_folder


@dataclass(frozen=True)
class Workbench:
    """The lake, and how much of the machine one step may take.

    Attributes:
        lake: all tables.
        memory_limit: of DuckDB for one step, such as `1GB`.
        threads: of DuckDB for one step; None means one a core.
        given: values of parameters that the run was given, of the step's asset.
        work: of the step, by which its statements are ended from outside.
        masking_key: gives the platform's key, where platform.yaml names one; it is asked for where
            a statement needs it, and kept nowhere else.
    """

    lake: Lake
    memory_limit: str = "1GB"
    threads: int | None = None
    given: Mapping[str, ParameterValue] = field(default_factory=dict[str, ParameterValue])
    work: Work = field(default_factory=Work)
    masking_key: Callable[[], str] | None = field(default=None, repr=False)

    @contextmanager
    def open(
        self,
        folders: Sequence[Path | str] = (),
        timezone: str = "UTC",
        node: Node | None = None,
    ) -> Generator[tuple[Session, Path]]:
        """A session that reads the lake, and a scratch folder of its own.

        Args:
            folders: that statements may read besides.
            timezone: in which times without a zone are meant.
            node: the asset whose statements run: its parameters have values in the session.
        """
        with (
            scratch_folder(self.lake.scratch_root) as scratch,
            open_session(
                scratch,
                # A step may open one session to read and others to write what it was given.
                [self.lake.root, self.lake.scratch_root, *folders],
                self.memory_limit,
                self.threads,
                timezone,
                self.lake.place.objects,
            ) as session,
            self.work.stoppable(session.connection.interrupt),
        ):
            self.prepare(session, node)
            yield session, scratch

    def prepare(self, session: Session, node: Node | None) -> None:
        """Give a session what the statements of an asset need.

        Args:
            session: new.
            node: the asset whose statements run; None means nobody's.

        Raises:
            PermanentError: it masks by a key, and there is none.
        """
        session.work = self.work
        if node is None:
            return
        for name, value in values_of(node.run_parameters, self.given).items():
            session.set(name, value, SQL_TYPES[node.run_parameters[name].type])
        if node.masks is not None:
            session.mask_by(self._key(node) if node.masks else None)

    def _key(self, node: Node) -> str:
        """The key by which a node's values are masked.

        Raises:
            PermanentError: there is none.
        """
        if self.masking_key is None:
            raise PermanentError(
                f"{node.key} masks by `hash`, and nothing gives the platform's key: platform.yaml "
                "names it as `masking: {key: ${MASKING_KEY}}`"
            )
        try:
            return self.masking_key()
        except PermanentError as error:
            raise PermanentError(f"the key of `masking` in platform.yaml: {error}") from None
