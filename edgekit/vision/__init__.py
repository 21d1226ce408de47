"""Pixels: pictures and videos read upright as RGB, and the one preprocessing."""
