# make demo: the main job.  make test: the tests.  Both make .venv when it is missing.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
EXTRAS ?= test
.PHONY: demo test clean

$(BIN)/mesascope: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q --disable-pip-version-check -e .
	touch $@

$(VENV)/.extras-$(EXTRAS): pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q --disable-pip-version-check -e '.[$(EXTRAS)]'
	touch $(BIN)/mesascope $@

demo: $(BIN)/mesascope
	$(BIN)/mesascope demo --out demo

test: $(VENV)/.extras-$(EXTRAS)
	$(BIN)/python -m pytest -n 2 --dist worksteal $(PYTEST)

clean:
	rm -rf demo runs build *.egg-info
