# make demo | make test | make check | make lock
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: setup demo test check lint lock clean system-packages

setup: $(STAMP)

$(STAMP): requirements/dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Lifecert needs Python 3.11 or later; call make PYTHON=/path/to/python3.11"; exit 2; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check -q --require-hashes -r requirements/dev.txt
	$(BIN)/python -m pip install --disable-pip-version-check -q --no-deps --no-build-isolation -e .
	touch $@

# The hash-pinned requirement files, without the name of any package index.
lock:
	uv pip compile pyproject.toml --universal --python-version 3.11 --extra dev -c requirements/constraints.txt --generate-hashes --no-header --no-annotate -q -o requirements/dev.txt
