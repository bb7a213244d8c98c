"""Quality rules: what must be true of an asset before it is published, one model a kind.

In YAML each is a mapping with a single key, its kind. `plan` turns each into checks.
"""

from typing import Annotated

from data_platform.spec.row_rules import RowRule
from data_platform.spec.set_rules import SetRule
from data_platform.spec.single_key import single_key_union

AnyRule = RowRule | SetRule
Rule = Annotated[AnyRule, *single_key_union("rule", AnyRule)]
