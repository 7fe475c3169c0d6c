PYTHON ?= python3
VENV ?= .venv
PIP = $(VENV)/bin/pip install --quiet --disable-pip-version-check --constraint constraints.txt
NAME ?= start

.PHONY: demo test test-all check unit bench clean

# The environment, made once and again whenever what it is made of changes.
$(VENV)/run.stamp: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || \
	  { echo "Python 3.11, 3.12 or 3.13 is needed; say which: make PYTHON=python3.11 $(MAKECMDGOALS)"; exit 1; }
	@test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing (once) into $(VENV) ..."
	@$(PIP) --editable .
	@touch $@

$(VENV)/test.stamp: $(VENV)/run.stamp
	@echo "Installing what the tests need ..."
	@$(PIP) --editable '.[test]'
	@touch $@

demo: $(VENV)/run.stamp
	@$(VENV)/bin/skald demo $(ARGS)

check: $(VENV)/test.stamp
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports --cache-dir .cache/import-linter

# What every change must pass, in under half an hour on two cores.
CORE = tests/unit tests/contract tests/integration/node/test_runs.py tests/integration/bridge/test_engine.py \
  tests/integration/media/test_ffmpeg_runs.py tests/integration/media/test_recording.py \
  tests/integration/test_nvml.py tests/integration/test_supervisor.py

test: check
	$(VENV)/bin/pytest -n 2 --dist loadscope $(CORE) $(ARGS)

# And everything else: browser, faults, modes, wheels, Prefect's own ways.
test-all: check
	$(VENV)/bin/pytest -n 2 --dist loadscope $(ARGS)

unit: $(VENV)/test.stamp
	$(VENV)/bin/pytest tests/unit $(ARGS)

bench: $(VENV)/test.stamp
	@$(VENV)/bin/python -m tests.benchmarks.$(NAME) $(ARGS)

clean:
	rm -rf .cache dist build *.egg-info
