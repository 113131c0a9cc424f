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

# Frameworks of native code in processes of their own: PyTorch (which a few tests of the first part use too), then ONNX, whose
# files PyTorch writes.
# one worker more than two cores have, because tests also wait for other processes
RUN := $(BIN)/python -m pytest -n 3 --dist worksteal
TORCH := tests/subjects/adapters
ONNX := $(TORCH)/test_onnx.py

test: $(VENV)/.extras-$(EXTRAS)
	$(RUN) --ignore=$(TORCH) $(PYTEST)
	$(RUN) $(TORCH) --ignore=$(ONNX) $(PYTEST)
	$(RUN) $(ONNX) $(PYTEST) || test $$? = 5  # 5: it needs an extra that is not there

clean:
	rm -rf demo runs build *.egg-info
