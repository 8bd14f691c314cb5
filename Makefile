# Two commands do everything on a machine with Python 3.11+ and make: `make run` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/installed

.PHONY: run demo test lint format bench vendor clean

run: $(READY)
	@exec $(BIN)/python manage.py run

demo: $(READY)
	@exec $(BIN)/python manage.py run --demo

test: $(READY) lint
	@deploy/install-browser
	$(BIN)/python -m pytest -n 2 --dist loadfile -m "not system and not soak"
	$(BIN)/python -m pytest -m "system and not soak"

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -W ignore::RuntimeWarning manage.py makemigrations --check --dry-run

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(READY)
	$(BIN)/python -m benchmarks

vendor: $(READY)
	$(BIN)/python deploy/vendor.py

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache

$(READY): requirements.txt agent/pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed: make PYTHON=python3.12 …"; exit 1; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement requirements.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable ./agent
	@touch $@
