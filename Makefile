# The four commands: make demo, make test, make check, make bench. `make clean` starts afresh;
# `make fuzz` looks for what readers answer wrongly; `make soak` runs the daemon for an hour under
# faults; `make trainers` reads what other libraries write; `make home-assistant` runs the
# device in one; `make test-ansible` installs devices with Ansible; `make test-pi` and
# `make test-pi-vm` run the service on emulated Raspberry Pis; `make dist` writes what is published,
# `make audit` asks for known vulnerabilities in it, and `make test-wheels` installs it.
# python3 where it fits, else the newest that does and runs: pyenv puts names on PATH that refuse to.
FITS := import ensurepip, sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))
PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11; do \
	"$$python" -c '$(FITS)' 2> /dev/null && echo "$$python" && break; done)
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: demo test check bench soak fuzz fuzz-long trainers home-assistant test-ansible docs clean

$(READY): pyproject.toml setup.py convert/pyproject.toml convert/setup.py device/pyproject.toml \
		device/setup.py release/shared_setup.py constraints.txt
	@test -n "$(PYTHON)" || { echo "edgekit needs Python 3.11, 3.12 or 3.13, with its venv module:" \
		"install one, or name it with make PYTHON=…" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --constraint constraints.txt \
		--editable ".[dev]" --editable "./convert[torch]" --editable "./device[page]"
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

bench: $(READY)  ## speed, memory and fidelity, as ratios within one run, into docs/benchmarks.md
	$(BIN)/python -m benchmarks

soak: $(READY)  ## an hour of frames with every sink on and faults at random
	$(BIN)/python -m benchmarks.soak

# Each process takes up to 1.5 GB. Two at a time take less than seven minutes.
FUZZ := $(BIN)/python -m tests.fuzz
FUZZER := $(VENV)/.fuzzer

$(FUZZER): $(READY)
	$(BIN)/pip install --quiet --constraint constraints.txt --editable ".[fuzz]"
	touch $@

fuzz: $(FUZZER)  ## FUZZ_SECONDS (60) for each reader at the core, a sixth for others; FUZZ_JOBS at once
	$(FUZZ) --seconds $(or $(FUZZ_SECONDS),60) --jobs $(or $(FUZZ_JOBS),2)

fuzz-long: $(FUZZER)  ## ten million inputs for each reader; goes on where it was stopped
	$(FUZZ) --runs 10000000 --seconds $(or $(FUZZ_SECONDS),3600) \
		--jobs $(or $(FUZZ_JOBS),$(shell nproc)) --folder build/fuzz

# Libraries that users train with; they need not be there for anything else.
TRAINERS := build/trainers
TRAINERS_SITE = $$($(1)/bin/python -c "import sysconfig; print(sysconfig.get_path('purelib'))")

$(TRAINERS)/.ready: $(READY) tests/integration/trainers.txt
	$(BIN)/python -m venv --clear $(TRAINERS)
	echo "import site; site.addsitedir('$(call TRAINERS_SITE,$(VENV))')" \
		> $(call TRAINERS_SITE,$(TRAINERS))/workstation.pth
	$(TRAINERS)/bin/pip install --quiet --no-deps --requirement tests/integration/trainers.txt
	touch $@

trainers: $(TRAINERS)/.ready  ## files and examples of docs/trainers.md, with the libraries themselves
	$(BIN)/python -m pytest tests/integration/test_trainers.py

# It needs Python 3.13, and takes four minutes where its packages have to be built.
HOME_ASSISTANT := build/home-assistant
PYTHON_313 ?= $(firstword $(wildcard $(HOME)/.pyenv/versions/3.13.*/bin/python3) python3.13)

$(HOME_ASSISTANT)/.ready: tests/integration/homeassistant.txt
	$(PYTHON_313) -m venv --clear $(HOME_ASSISTANT)
	$(HOME_ASSISTANT)/bin/pip install --quiet --no-deps --requirement $<
	touch $@

home-assistant: $(READY) $(HOME_ASSISTANT)/.ready  ## the device in a real Home Assistant
	$(BIN)/python -m pytest tests/integration/test_homeassistant.py

# Its root file system takes two minutes to make, and is kept there.
ANSIBLE := build/ansible
ANSIBLE_CACHE ?= build/test-ansible

$(ANSIBLE)/.ready: tests/ansible/requirements.txt | $(READY)
	$(BIN)/python -m venv --clear $(ANSIBLE)
	$(ANSIBLE)/bin/pip install --quiet --requirement $<
	touch $@

test-ansible: $(READY) $(ANSIBLE)/.ready  ## deploy/ansible on two emulated devices, with sshd and systemd
	EDGEKIT_ANSIBLE_CACHE=$(ANSIBLE_CACHE) $(BIN)/python -m pytest -n 0 -s tests/ansible

docs: $(READY)  ## write docs/cli.md, api.md, openapi.json, tables of reliability.md and ansible.md, systemd/edgekit.toml and the dashboard again
	$(BIN)/python docs/generate_cli.py
	$(BIN)/python docs/generate_api.py
	$(BIN)/python docs/generate_reliability.py
	$(BIN)/python docs/generate_ansible.py
	$(BIN)/python -m docs.generate_openapi
	$(BIN)/python -m docs.generate_dashboard

clean:
	rm -rf $(VENV) build

include tests/pi/pi.mk
include release/release.mk
