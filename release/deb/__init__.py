"""The device side as a Debian package, for boards that are looked after with apt: `make deb`."""
