"""Everything that can be set: one schema for the file, the options and the documentation."""
