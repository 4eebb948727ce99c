"""Tools that come from no server: Python files, other agents, inference tasks."""
