# The four commands: make demo, make test, make check, make bench. `make clean` starts afresh;
# `make test-pi` and `make test-pi-vm` run the service on emulated Raspberry Pis.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: demo test check bench soak docs clean

$(READY): pyproject.toml convert/pyproject.toml device/pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --constraint constraints.txt \
		--editable ".[dev]" --editable ./convert --editable "./device[page]"
	$(BIN)/pip check
	touch $@

demo: $(READY)  ## clip, training, conversion, labels, contact sheet: everything in build/demo
	$(BIN)/python -m demo --output build/demo

test: $(READY)  ## the test suite, on two cores; the first run trains the demo's network
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile

check: $(READY)  ## lint, format, types, and the generated documentation
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(READY)  ## speed, memory and fidelity, as ratios within one run: a quarter of an hour
	$(BIN)/python -m benchmarks.daemon
	$(BIN)/python -m benchmarks.offline
	$(BIN)/python -m benchmarks.fidelity
	$(BIN)/python -m benchmarks.conversion

soak: $(READY)  ## an hour of frames with every sink on and faults at random
	$(BIN)/python -m benchmarks.soak

docs: $(READY)  ## write docs/cli.md, systemd/edgekit.toml and the tables of docs/reliability.md again
	$(BIN)/python docs/generate_cli.py
	$(BIN)/python docs/generate_reliability.py

clean:
	rm -rf $(VENV) build

include tests/pi/pi.mk
