"""A program written for huggingface_hub. `scripts/freeze_same_program.sh` ran it there and kept what it printed.

`test_same_program.py` changes its import line to `tiny_agents` and runs it again: the same turns must come out.
Arguments: base URL of a model, command line of an MCP server.
"""

import asyncio
import json
import sys

from huggingface_hub import Agent, ChatCompletionInputMessage, ChatCompletionStreamOutput, MCPClient

BASE_URL, COMMAND = sys.argv[1], sys.argv[2:]
SERVER = {"type": "stdio", "command": COMMAND[0], "args": COMMAND[1:], "env": {"GREETING": "hello"}}


class Printer:
    """Prints what a run yields: text when it ends, each tool call and each result on a line."""

    def __init__(self):
        self.text, self.calls = "", {}

    def item(self, item):
        if isinstance(item, ChatCompletionStreamOutput):
            delta = item.choices[0].delta if item.choices else None
            if delta is None:
                return
            self.text += delta.content or ""
            for call in delta.tool_calls or []:
                known = self.calls.setdefault(call.index, [call.id, "", ""])
                known[1] += call.function.name or ""
                known[2] += call.function.arguments or ""
        elif isinstance(item, ChatCompletionInputMessage):
            self.flush()
            print("result", item["role"], item.name, item.tool_call_id, json.dumps(item.content))

    def flush(self):
        if self.text:
            print("text", json.dumps(self.text))
        for call_id, name, arguments in self.calls.values():
            print("call", call_id, name, json.dumps(json.loads(arguments or "{}")))
        self.text, self.calls = "", {}


async def use_client():
    async with MCPClient(base_url=BASE_URL, model="scripted", api_key="none") as client:
        await client.add_mcp_server(SERVER["type"], **{key: SERVER[key] for key in ("command", "args", "env")})
        await client.add_mcp_server(**SERVER, allowed_tools=["nothing"])
        print("tools", sorted(tool.function.name for tool in client.available_tools))
        messages = [{"role": "user", "content": "one turn"}]
        printer = Printer()
        async for item in client.process_single_turn_with_tools(messages):
            printer.item(item)
        printer.flush()
        print("history", [message["role"] for message in messages])


async def use_agent():
    async with Agent(
        model="scripted", base_url=BASE_URL, api_key="none", servers=[SERVER], prompt="Be brief."
    ) as agent:
        await agent.load_tools()
        for request in ("add for me", "say it in parts", "finish"):
            print("user", request)
            printer = Printer()
            async for item in agent.run(request):
                printer.item(item)
            printer.flush()
        print("history", [(message["role"], message.get("name")) for message in agent.messages])


asyncio.run(use_client())
asyncio.run(use_agent())
