"""Files of a table of batches hold rows that readers don't see: an engine outside gets none."""

import pytest
from factories import Project
from grown import add_batch

from data_platform.errors import PermanentError
from data_platform.resources import LakeResource


def test_a_table_of_batches_has_no_files_for_others(project: Project):
    for amount in (1, 2):
        add_batch(project, f"SELECT 7 AS id, {amount} AS amount, TIMESTAMP '2024-01-01' AS at")
    lake = LakeResource(root=str(project.workbench.lake.root))
    with pytest.raises(PermanentError, match=r"keeps each batch that came.*staging asset"):
        lake.files("raw/shop/events")
