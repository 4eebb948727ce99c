"""The only folder that imports `mcp` (0.7 s), inside its functions.

Everything of the SDK's ends here: what leaves is `ServerTool`, `ToolResult`, `ConnectionLost` and `Refused`.
"""
