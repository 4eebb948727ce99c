"""Output for programs: `--output json` and `jsonl`."""
