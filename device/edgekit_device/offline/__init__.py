"""What was recorded, on a desktop: replay it, compare models on it, evaluate, collect from it."""
