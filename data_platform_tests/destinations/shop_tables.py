"""A project with one destination in a real database: declare rules, publish rows, load, look."""

from factories import Project, database_outside

from data_platform.destinations.loading import Loading, deliver
from data_platform.engine.postgres import connected
from data_platform.plan.naming import WHOLE
from data_platform.plan.nodes import DestinationNode
from data_platform.storage.publish import Publication
from data_platform.targets.answering import held

Rows = list[tuple[object, ...]]
AMOUNTS = "SELECT * FROM (VALUES (1, 10.10), (2, 20.25)) AS t(id, amount)"
RECONCILE = "reconcile: {with: staging.orders, expression: sum(amount)}"
SPOIL = """
CREATE FUNCTION spoil() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN {body}; RETURN NEW; END $$
"""


class Shop:
    """A project with one destination in a real database."""

    def __init__(self, project: Project, url: str) -> None:
        self.project, self.url, self.outside = project, url, database_outside(url)
        project.platform(f"connections:\n  shop: {{type: database, url: '{url}'}}\n")

    def declare(self, *rules: str, daily: bool = True, more: str = "", contract: str = "") -> None:
        listed = "".join(f"      - {rule}\n" for rule in rules)
        quality = f"    quality:\n{listed}" if rules else ""
        self.project.declare(
            f"staging:\n  orders:\n    from: raw.orders\n{contract}destinations:\n  orders:\n"
            "    from: staging.orders\n    type: database\n    connection: shop\n"
            f"    table: shop.orders\n{quality}{more}",
            daily=daily,
        )

    def publish(self, rows: str, *keys: str) -> Publication:
        typed = f"SELECT * REPLACE (CAST(amount AS DECIMAL(12, 2)) AS amount) FROM ({rows})"
        return self.project.land_all("staging/orders", dict.fromkeys(keys or [WHOLE], typed))

    def node(self) -> DestinationNode:
        node = self.project.node("destinations/orders")
        assert isinstance(node, DestinationNode)
        return node

    def load(self, *keys: str) -> Loading:
        return deliver(self.node(), keys or [WHOLE], self.project.workbench, self.outside, "run")

    def ask(self, query: str = "SELECT id, amount FROM shop.orders ORDER BY 1, 2") -> Rows:
        with connected(self.url, autocommit=True) as (_, cursor):
            cursor.execute(query)
            return [tuple(row) for row in cursor.fetchall()]

    def execute(self, *statements: str) -> None:
        with connected(self.url, autocommit=True) as (_, cursor):
            for statement in statements:
                cursor.execute(statement)

    def spoil(self, body: str, when: str = "BEFORE INSERT") -> None:
        """From now on the database changes what is loaded."""
        self.execute(
            SPOIL.format(body=body),
            f"CREATE TRIGGER spoils {when} ON shop.orders FOR EACH ROW EXECUTE FUNCTION spoil()",
        )

    def versions(self) -> dict[str, str]:
        found = held(self.node(), self.outside)
        return {key: version.data_version for key, version in found.items()}
