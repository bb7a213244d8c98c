# Everything lives in .venv and .data; `make demo` and `make test` need git, make and Python 3.11 only.
PYTHON ?= python3.11
BIN := .venv/bin
# Without compiled bytecode every start takes twice as long.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo dev test test-s3 lint chart bench campaign screenshots clean
.DEFAULT_GOAL := demo

.venv/installed: requirements.lock pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	$(BIN)/python -m compileall -q data_platform
	touch $@

demo: .venv/installed ## A year of real transactions, from PostgreSQL to a warehouse
	$(BIN)/data-platform demo

dev: .venv/installed ## The same pipeline live in Dagster's UI, http://127.0.0.1:3000
	$(BIN)/data-platform demo --live

# Three at a time on two cores: many tests wait for servers and daemons.
test: .venv/installed ## All tests, with small counts where a campaign has large ones
	$(BIN)/python -m pytest -n 3 --dist loadfile -m "not campaign"

test-s3: .venv/installed ## The tests of what works on the lake, with all lakes in buckets
	$(BIN)/python -m pytest -n 2 --dist loadfile -m "not campaign" --lake-on-s3 \
		$(addprefix data_platform_tests/,storage staging quality correcting raw analytics destinations handwritten)

lint: .venv/installed ## Style, types, layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/pyright

chart: .venv/installed ## values.yaml and values.schema.json of the Helm chart, from their models
	$(BIN)/python -m helm.values

bench: .venv/installed ## The platform against others, 20 minutes on a quiet machine
	$(BIN)/python benchmarks/run_all.py

# Spark has a Python of its own, as on a cluster; it needs Java.
.venv/spark/installed: examples/spark/requirements.lock .venv/installed
	$(PYTHON) -m venv .venv/spark
	.venv/spark/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	touch $@

campaign: .venv/installed .venv/spark/installed ## Fault and load tests with the full counts; writes docs/reliability.md
	$(BIN)/python -m pytest -n 2 -m campaign --timeout 7200

screenshots: .venv/installed ## The pictures of the README, from the demo in Dagster's UI; needs Chromium
	$(BIN)/python docs/screenshots.py

clean: ## Remove the environment and all local state
	rm -rf .venv .data
