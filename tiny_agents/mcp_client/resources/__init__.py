"""Resources and prompts of servers."""
