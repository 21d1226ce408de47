"""How fast a model runs on this device, and what that costs."""
