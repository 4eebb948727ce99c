"""The ways to servers, and what is said over them in terms of our own types.

The only folder besides `oauth/` that imports `mcp` (0.5 s), inside functions: for servers in our own process. What leaves is
`ServerTool`, `ToolResult`, `ConnectionLost` and `Refused`.
"""
