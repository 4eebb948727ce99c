"""One server: its description, the task that owns it, its lives, and what changes while it runs."""
