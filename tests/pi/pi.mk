# Emulated Raspberry Pis. Their root file systems are made once and kept in PI_CACHE.
PI_CACHE ?= build/pi
PI_MODEL := build/demo/resnet18-int8.tflite

.PHONY: test-pi test-pi-32 test-pi-vm

$(PI_MODEL): | $(READY)
	$(BIN)/python -m demo --output build/demo

test-pi: $(READY) $(PI_MODEL)  ## the service on an emulated bookworm, in a container
	$(BIN)/python -m tests.pi.nspawn --cache $(PI_CACHE)

test-pi-32: $(READY) $(PI_MODEL)  ## the same on one of 32 bits; its root takes a quarter of an hour to make
	$(BIN)/python -m tests.pi.armhf --cache $(PI_CACHE)

test-pi-vm: $(READY) $(PI_MODEL)  ## the same on an emulated trixie with a camera
	$(BIN)/python -m tests.pi.vm --cache $(PI_CACHE)
