"""Logging in at remote servers with OAuth 2.1, as the MCP specification has it.

What is asked next, and what an answer means, is pure (`flow`, `callback`, `options`); sending, listening and keeping are
in `login`, `loopback` and `store`. The modules that import `mcp` or `httpx2` are imported when a remote server is opened.
"""
