"""What comes after each run of a pipeline: the function that is called, and who is told.

Called by `plan.building`.
"""

from data_platform.errors import Problem
from data_platform.plan.functions import UserFunction, find_function
from data_platform.spec.alerts import no_channel
from data_platform.spec.reading import PipelineFile
from data_platform.spec.wording import FOUND, show


def on_finish_of(file: PipelineFile) -> UserFunction | None:
    """The function that is called after each run.

    Raises:
        ConfigurationError: there is none of this name.
    """
    spec = file.spec
    if spec.on_finish is None:
        return None
    at = file.locate("on_finish")
    return find_function(spec.on_finish, "finish", file.folder, spec.pipeline, at, None)


def unknown_channels(file: PipelineFile, known: list[str]) -> list[Problem]:
    """The channels that `notify` names and platform.yaml doesn't have.

    Args:
        file: of the pipeline.
        known: the channels of platform.yaml.
    """
    notify = file.spec.notify
    return [
        Problem(file.locate("notify", "to"), no_channel(known).replace(FOUND, show(name)))
        for name in (notify.to if notify else ())
        if name not in known
    ]
