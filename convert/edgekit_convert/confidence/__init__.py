"""Confidence that means what it says: a temperature, folded into the last layer."""
