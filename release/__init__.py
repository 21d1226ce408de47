"""Packages of a commit for others (`make dist`, `make audit`, `make deb`); is not shipped."""
