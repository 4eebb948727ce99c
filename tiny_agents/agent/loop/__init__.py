"""One request: its turns, limits, cost and result."""
