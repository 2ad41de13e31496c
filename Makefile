# Everything runs in a virtual environment; it needs only Python 3.11 or newer and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# An environment with the oldest versions of all dependencies that setup.cfg allows; they have wheels for Python up to 3.12.
OLDEST := .venv-oldest
OLDEST_PYTHON ?= $(PYTHON)
# The older of the two supported DuckDB majors; the virtual environment has the newer one.
DUCKDB_1 := $(VENV)/duckdb-1

# dbt in an environment of its own, with the versions that docs/dbt.md names: its dependencies are not those of Dagster.
DBT_VENV := .venv-dbt

OLDEST_TESTS := $(addprefix klaviyo_assets_tests/,dagster_layer decode \
	$(addprefix api/test_,client.py error_documents.py links.py network.py responses.py) api/rate_limit/test_shared_limits.py \
	sync/test_accounts_and_folders.py state/test_locks.py settings/test_settings.py warehouse/test_local_file.py warehouse/test_lower_bound.py)

# Two targets run at a time: while one installs packages, checks types or waits for its last long test, the other uses the cores.
AT_ONCE := --jobs 2 $(if $(filter output-sync,$(.FEATURES)),--output-sync=target)
# Each worker takes the next test when it is free. More workers than cores, since the slow tests mostly wait; the fast ones do not.
PYTEST := -m pytest --dist load --maxschedchunk 2 --numprocesses
ALL := 4
QUICK := auto -m 'not slow and not long'
# Without compiled files, each worker and each process that a test starts would compile everything again.
unexport PYTHONDONTWRITEBYTECODE

# From Python 3.12 on, measuring coverage costs little, so make test prints it; on 3.11 it would double the time.
COVERAGE_CORE := $(shell $(PYTHON) -c 'import sys; print("sysmon" if sys.version_info >= (3, 12) else "ctrace")')
COVERAGE := $(if $(filter sysmon,$(COVERAGE_CORE)),--cov=klaviyo_assets --cov-report=term:skip-covered)

.PHONY: .test-duckdb-1 .test-newest .test-oldest audit benchmarks coverage dbt-klaviyo demo docs docs-site faults kills sandbox test test-oldest test-quick truth lint types dev format clean

$(STAMP): setup.cfg pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "klaviyo_assets needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version). Run: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

$(DUCKDB_1): $(STAMP)
	@rm -rf $@
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --target $@ 'duckdb>=1.5.5,<2'

$(OLDEST)/.installed: setup.cfg .ci/lower_bounds
	@rm -rf $(OLDEST)
	$(OLDEST_PYTHON) -m venv $(OLDEST)
	$(OLDEST_PYTHON) .ci/lower_bounds > $(OLDEST)/requirements.txt
	$(OLDEST)/bin/python -m pip install --quiet --disable-pip-version-check -r $(OLDEST)/requirements.txt hypothesis pytest pytest-xdist
	$(OLDEST)/bin/python -m pip check
	@touch $@

$(DBT_VENV)/.installed: Makefile
	@rm -rf $(DBT_VENV)
	$(PYTHON) -m venv $(DBT_VENV)
	$(DBT_VENV)/bin/python -m pip install --quiet --disable-pip-version-check 'dbt-core>=1.10,<1.11' 'dbt-duckdb==1.11.1'
	@touch $@

demo: $(STAMP)  ## sync everything once and print what landed
	@$(BIN)/klaviyo-assets demo

dev: $(STAMP)  ## open the Dagster UI on the same definitions
	@mkdir -p data/dagster
	@test -f data/dagster/dagster.yaml || printf 'telemetry:\n  enabled: false\nnux:\n  enabled: false\n' > data/dagster/dagster.yaml
	DAGSTER_HOME=$(CURDIR)/data/dagster $(BIN)/dagster dev --workspace workspace.yaml

sandbox: $(STAMP)  ## start a local Klaviyo with a made-up account
	@$(BIN)/klaviyo-assets sandbox

test:  ## everything that continuous integration runs
	@$(MAKE) --no-print-directory $(AT_ONCE) lint docs-site test-oldest types .test-newest audit .test-duckdb-1

.test-newest: $(STAMP) $(DUCKDB_1)
	COVERAGE_CORE=$(COVERAGE_CORE) EXPECTED_DUCKDB=2. DUCKDB_1=$(CURDIR)/$(DUCKDB_1) $(BIN)/python $(PYTEST) $(ALL) $(COVERAGE)

.test-duckdb-1: $(DUCKDB_1)
	PYTHONPATH=$(DUCKDB_1) EXPECTED_DUCKDB=1. $(BIN)/python $(PYTEST) $(ALL) -m 'duckdb and not slow'

test-oldest:  ## the tests that use the dependencies most, with the oldest versions that setup.cfg allows
	@if $(OLDEST_PYTHON) -c 'import sys; sys.exit(sys.version_info >= (3, 13))'; then $(MAKE) --no-print-directory .test-oldest; \
		else echo "The oldest versions of the dependencies are not tested: they need Python 3.11 or 3.12, as in: make OLDEST_PYTHON=python3.12 test-oldest"; fi

.test-oldest: $(OLDEST)/.installed
	PYTHONPATH=$(CURDIR) $(OLDEST)/bin/python $(PYTEST) $(ALL) -m 'oldest or not (slow or long)' $(OLDEST_TESTS)

test-quick: $(STAMP)  ## the fast tests, which start no process, in less than two minutes: run them while you work
	$(BIN)/python $(PYTEST) $(QUICK)

coverage: $(STAMP)  ## the fast tests, and which lines they do not run
	COVERAGE_CORE=$(COVERAGE_CORE) $(BIN)/python $(PYTEST) $(QUICK) --cov=klaviyo_assets --cov-report=term-missing:skip-covered

truth: $(STAMP)  ## thousands of generated histories of an account, compared row by row; then every injected fault
	$(BIN)/python -m klaviyo_assets_tests.scenarios $(OPTIONS)

benchmarks: $(STAMP)  ## run all benchmarks, in about an hour (one of them: make benchmarks ONLY=memory)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[benchmarks]'
	$(BIN)/python -m benchmarks $(ONLY)

dbt-klaviyo: $(STAMP) $(DBT_VENV)/.installed  ## install the dbt package dbt_klaviyo, build it on a file of the sandbox, and compare its figures with the marts
	DBT=$(CURDIR)/$(DBT_VENV)/bin/dbt $(BIN)/python -m pytest klaviyo_assets_tests/test_dbt_klaviyo.py -rs

faults: $(STAMP)  ## run syncs against every network fault and print what the tables contain afterwards
	@$(BIN)/python -m klaviyo_assets_tests.faults faults

kills: $(STAMP)  ## kill syncs at every stage and print what the tables contain afterwards
	@$(BIN)/python -m klaviyo_assets_tests.faults kills

docs: $(STAMP)  ## write the generated parts of the docs
	@$(BIN)/python docs/generate.py

docs-site: $(STAMP)  ## build the docs site in build/site; a broken link or anchor fails it
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-logo

types: $(STAMP)
	$(BIN)/mypy

audit: $(STAMP)  ## look up known vulnerabilities of the installed packages
	$(BIN)/python .ci/audit

format: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) .venv-* build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache .coverage
