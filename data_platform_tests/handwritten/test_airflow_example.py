"""The page on triggers shows an asset that starts a DAG of Airflow: that very code, over HTTP.

Airflow can't be installed beside the platform; the server here speaks the part of its REST API that
the example asks, as Airflow's reference has it.
"""

import re
from pathlib import Path
from urllib.parse import unquote

import pytest
from handwritten_sales import Sales
from misbehaving_server import Asked, Reply, misbehaving

PAGE = Path(__file__).parents[2] / "docs" / "triggers.md"
REVENUE = "analytics:\n  revenue: {query: SELECT COUNT(*) AS orders FROM staging.orders}\n"
LAST = ["analytics/revenue", "analytics/airflow_report"]
RUNS = "/api/v2/dags/monthly_report/dagRuns"


class Airflow:
    """Runs of one DAG, which take two looks to end."""

    def __init__(self, ends: str = "success") -> None:
        self.ends = ends
        self.looks: dict[str, int] = {}
        self.conf: dict[str, object] = {}

    def __call__(self, asked: Asked) -> Reply:
        if asked.headers.get("authorization") != "Bearer a token":
            return Reply({"detail": "Unauthorized"}, 401)
        if asked.method == "POST" and asked.path == RUNS:
            return self._post(asked)
        run_id = unquote(asked.path.removeprefix(f"{RUNS}/"))
        if asked.method != "GET" or run_id not in self.looks:
            return Reply({"detail": "Not Found"}, 404)
        self.looks[run_id] += 1
        state = "running" if self.looks[run_id] < 2 else self.ends
        return Reply({"dag_run_id": run_id, "state": state})

    def _post(self, asked: Asked) -> Reply:
        told = asked.json
        if not {"logical_date", "dag_run_id"} <= told.keys() or told["logical_date"] is not None:
            return Reply({"detail": "logical_date: Field required"}, 422)
        if told["dag_run_id"] in self.looks:
            return Reply({"detail": "DAGRun already exists"}, 409)
        self.looks[told["dag_run_id"]] = 0
        self.conf = told["conf"]
        return Reply({"dag_run_id": told["dag_run_id"], "state": "queued"})


def example() -> str:
    found = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    [code] = [text for text in found if "HttpResource" in text]
    return code.replace("time.sleep(5)", "time.sleep(0.01)")


@pytest.mark.parametrize("ends", ["success", "failed"])
def test_the_example_starts_a_dag_waits_for_it_and_ends_as_it_does(
    sales: Sales, monkeypatch: pytest.MonkeyPatch, ends: str
) -> None:
    airflow = Airflow(ends)
    with misbehaving(airflow) as server:
        monkeypatch.setenv("AIRFLOW_URL", server.url)
        monkeypatch.setenv("AIRFLOW_TOKEN", "a token")
        (sales.folder / "pipelines" / "platform.yaml").write_text(
            "lake: {root: .data/lake}\nconnections:\n  airflow:\n    type: api\n"
            "    url: '${AIRFLOW_URL}'\n    auth: {type: bearer, token: '${AIRFLOW_TOKEN}'}\n"
        )
        sales.write(
            example().replace('"2024-01-01")', '"2024-01-01", end_date="2024-02-01")'), REVENUE
        )
        assert sales.problems() == []
        result = sales.run(["2024-01-02"], ["raw/orders", "staging/orders", *LAST])
    assert result.success == (ends == "success")
    assert airflow.conf == {"day": "2024-01-02"}
    [run_id] = airflow.looks
    assert run_id.startswith("data_platform__2024-01-02__")


def test_python_of_the_page_compiles() -> None:
    found = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    assert len(found) == 3
    for code in found:
        compile(code, str(PAGE), "exec")
