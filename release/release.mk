# What is published of a commit: docs/packages.md.
RELEASE := build/release
RELEASE_PYTHON := $(RELEASE)/bin/python

.PHONY: dist audit deb test-deb test-wheels

$(RELEASE)/.ready: release/tools.txt | $(READY)
	$(BIN)/python -m venv --clear $(RELEASE)
	$(RELEASE)/bin/pip install --quiet --requirement release/tools.txt
	touch $@

dist: $(RELEASE)/.ready  ## wheels, source distributions, hashes and bills of materials, checked, in dist/
	$(RELEASE_PYTHON) -m release --output dist

audit: dist  ## known vulnerabilities of all that dist/ brings with it
	$(RELEASE_PYTHON) -m release.audit dist

# CONVERT="--convert 3.13" converts with that one, too: gigabytes of PyTorch, and some minutes.
test-wheels: dist  ## dist/ in clean environments of each Python there is
	$(BIN)/python -m release.clean dist $(CONVERT)

deb: dist  ## the device side as Debian packages, in dist/
	PATH="$(CURDIR)/$(RELEASE)/bin:$$PATH" $(BIN)/python -m release.deb dist

test-deb: $(RELEASE)/.ready $(PI_MODEL)  ## that package on an emulated bookworm, from installed to purged
	PATH="$(CURDIR)/$(RELEASE)/bin:$$PATH" $(BIN)/python -m tests.pi.package --cache $(PI_CACHE)
