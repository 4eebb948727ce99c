"""The tools with which a model ends its turn itself, and the system prompt that goes with them."""

from __future__ import annotations

from tiny_agents.inference.types.chat import ChatCompletionInputFunctionDefinition, ChatCompletionInputTool


def _tool(name: str, description: str) -> ChatCompletionInputTool:
    parameters = {"type": "object", "properties": {}}
    function = ChatCompletionInputFunctionDefinition(name=name, description=description, parameters=parameters)
    return ChatCompletionInputTool(function=function)


TASK_COMPLETE_TOOL = _tool("task_complete", "Call this once everything the user asked for is done.")
ASK_QUESTION_TOOL = _tool("ask_question", "Call this when you can't go on without more information from the user.")

EXIT_LOOP_TOOLS = [TASK_COMPLETE_TOOL, ASK_QUESTION_TOOL]
EXIT_TOOL_NAMES = frozenset(tool.function.name for tool in EXIT_LOOP_TOOLS)

DEFAULT_SYSTEM_PROMPT = """\
You are an agent that works on the user's request with the tools you are given.
Keep going until the request is fully dealt with; hand back to the user only then, or when you need something from them.
Find things out with your tools instead of guessing: never make up an answer that a tool could give.
Before each tool call think about what it should bring, and afterwards about whether it did.
"""
