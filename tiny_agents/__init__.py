"""tiny-agents: an inference client, an MCP client on top of it, and an agent that is a while-loop on top of both.

Importing this package defines names and does nothing else: each is loaded when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tiny_agents.agent.agent import Agent
    from tiny_agents.agent.loading import load_definition
    from tiny_agents.errors import (
        ConfigError,
        IncompleteStreamError,
        InferenceConnectionError,
        InferenceError,
        InferenceTimeoutError,
        InvalidResponseError,
        JobFailedError,
        LocalModelError,
        MissingCredentialsError,
        MissingDependencyError,
        ProviderError,
        ServerConnectionError,
        ServerError,
        ServerTimeoutError,
        TinyAgentsError,
        UnsupportedTaskError,
        UsageError,
    )
    from tiny_agents.inference.async_client import AsyncInferenceClient
    from tiny_agents.inference.client import InferenceClient
    from tiny_agents.inference.types.chat import (
        ChatCompletionInputFunctionDefinition,
        ChatCompletionInputFunctionName,
        ChatCompletionInputGrammarType,
        ChatCompletionInputJSONSchema,
        ChatCompletionInputMessage,
        ChatCompletionInputMessageChunk,
        ChatCompletionInputMessageChunkType,
        ChatCompletionInputResponseFormatJSONObject,
        ChatCompletionInputResponseFormatJSONSchema,
        ChatCompletionInputResponseFormatText,
        ChatCompletionInputStreamOptions,
        ChatCompletionInputTool,
        ChatCompletionInputToolCall,
        ChatCompletionInputToolChoiceClass,
        ChatCompletionInputToolChoiceEnum,
        ChatCompletionInputURL,
        ChatCompletionOutput,
        ChatCompletionOutputComplete,
        ChatCompletionOutputFunctionDefinition,
        ChatCompletionOutputLogprob,
        ChatCompletionOutputLogprobs,
        ChatCompletionOutputMessage,
        ChatCompletionOutputToolCall,
        ChatCompletionOutputTopLogprob,
        ChatCompletionOutputUsage,
        ChatCompletionStreamOutput,
        ChatCompletionStreamOutputChoice,
        ChatCompletionStreamOutputDelta,
        ChatCompletionStreamOutputDeltaToolCall,
        ChatCompletionStreamOutputFunction,
        ChatCompletionStreamOutputLogprob,
        ChatCompletionStreamOutputLogprobs,
        ChatCompletionStreamOutputTopLogprob,
        ChatCompletionStreamOutputUsage,
    )
    from tiny_agents.inference.types.tasks import SummarizationOutput
    from tiny_agents.mcp_client.client import MCPClient
    from tiny_agents.mcp_client.results import ToolResult

__version__ = "0.1.0"

_HOMES = {
    "Agent": "agent.agent",
    "MCPClient": "mcp_client.client",
    "ToolResult": "mcp_client.results",
    "AsyncInferenceClient": "inference.async_client",
    "InferenceClient": "inference.client",
    "SummarizationOutput": "inference.types.tasks",
    "load_definition": "agent.loading",
}

__all__ = [
    "Agent",
    "AsyncInferenceClient",
    "ChatCompletionInputFunctionDefinition",
    "ChatCompletionInputFunctionName",
    "ChatCompletionInputGrammarType",
    "ChatCompletionInputJSONSchema",
    "ChatCompletionInputMessage",
    "ChatCompletionInputMessageChunk",
    "ChatCompletionInputMessageChunkType",
    "ChatCompletionInputResponseFormatJSONObject",
    "ChatCompletionInputResponseFormatJSONSchema",
    "ChatCompletionInputResponseFormatText",
    "ChatCompletionInputStreamOptions",
    "ChatCompletionInputTool",
    "ChatCompletionInputToolCall",
    "ChatCompletionInputToolChoiceClass",
    "ChatCompletionInputToolChoiceEnum",
    "ChatCompletionInputURL",
    "ChatCompletionOutput",
    "ChatCompletionOutputComplete",
    "ChatCompletionOutputFunctionDefinition",
    "ChatCompletionOutputLogprob",
    "ChatCompletionOutputLogprobs",
    "ChatCompletionOutputMessage",
    "ChatCompletionOutputToolCall",
    "ChatCompletionOutputTopLogprob",
    "ChatCompletionOutputUsage",
    "ChatCompletionStreamOutput",
    "ChatCompletionStreamOutputChoice",
    "ChatCompletionStreamOutputDelta",
    "ChatCompletionStreamOutputDeltaToolCall",
    "ChatCompletionStreamOutputFunction",
    "ChatCompletionStreamOutputLogprob",
    "ChatCompletionStreamOutputLogprobs",
    "ChatCompletionStreamOutputTopLogprob",
    "ChatCompletionStreamOutputUsage",
    "ConfigError",
    "IncompleteStreamError",
    "InferenceClient",
    "InferenceConnectionError",
    "InferenceError",
    "InferenceTimeoutError",
    "InvalidResponseError",
    "JobFailedError",
    "LocalModelError",
    "MCPClient",
    "MissingCredentialsError",
    "MissingDependencyError",
    "ProviderError",
    "ServerConnectionError",
    "ServerError",
    "ServerTimeoutError",
    "SummarizationOutput",
    "TinyAgentsError",
    "ToolResult",
    "UnsupportedTaskError",
    "UsageError",
    "__version__",
    "load_definition",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'tiny_agents' has no attribute {name!r}")
    home = _HOMES.get(name) or ("errors" if name.endswith("Error") else "inference.types.chat")
    value = getattr(importlib.import_module(f"tiny_agents.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
