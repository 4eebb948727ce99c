"""A web service whose answers stream to a browser: one agent with its servers for all, a conversation for each question.

    python examples/serve.py [PORT]          and open the address that it prints

Who closes the page stops the run, its tool calls too. The model is that of TINY_AGENTS_MODEL and TINY_AGENTS_BASE_URL, else
one at Hugging Face, for which HF_TOKEN is needed. Needs `pip install fastapi uvicorn`.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager

import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.responses import HTMLResponse, PlainTextResponse, StreamingResponse

from tiny_agents import Agent, ChatCompletionStreamOutput, Limits, TinyAgentsError, ToolAnswered

MODEL = os.environ.get("TINY_AGENTS_MODEL", "Qwen/Qwen3-32B")
AT_ONCE = asyncio.Semaphore(20)
MAX_BODY_BYTES = 20_000

PAGE = """<!doctype html><meta charset="utf-8"><title>Ask</title>
<form><input name="question" size="60" autofocus> <button>Ask</button></form><pre style="white-space: pre-wrap"></pre>
<script>
const out = document.querySelector("pre");
document.querySelector("form").onsubmit = async (event) => {
  event.preventDefault();
  out.textContent = "";
  const question = new FormData(event.target).get("question");
  const headers = {"Content-Type": "application/json"};
  const reply = await fetch("/ask", {method: "POST", headers, body: JSON.stringify({question})});
  const reader = reply.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (let {value, done} = await reader.read(); !done; {value, done} = await reader.read()) {
    const lines = (rest + value).split("\\n");
    rest = lines.pop();
    for (const line of lines.filter(Boolean)) {
      const said = JSON.parse(line);  // textContent: whatever a model or a tool says stays text
      out.textContent += said.text ?? (said.tool ? `[${said.tool}]\\n` : said.error ?? "");
    }
  }
};
</script>"""


def word_count(text: str) -> int:
    """Count the words of a text."""
    return len(text.split())


async def page(request: Request) -> Response:
    return HTMLResponse(PAGE)


async def ask(request: Request) -> Response:
    # No other site's page can send this type without asking first, and no answer to that is given.
    if request.headers.get("content-type") != "application/json":
        return PlainTextResponse("Send JSON.", 415)
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > MAX_BODY_BYTES:
            return PlainTextResponse("That is too long.", 413)
    try:
        question = str(json.loads(body)["question"])
    except (ValueError, KeyError, TypeError):
        return PlainTextResponse('Send {"question": "..."}.', 400)
    lines = answer(request.app.state.agent, question, request)
    return StreamingResponse(lines, media_type="application/x-ndjson", headers={"X-Accel-Buffering": "no"})


async def answer(agent: Agent, question: str, request: Request) -> AsyncIterator[str]:
    """What the run yields, a JSON object a line."""
    abort, stopped = asyncio.Event(), "the page was closed"

    async def watch() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass
        abort.set()

    watching = asyncio.create_task(watch())
    conversation = agent.new_conversation()
    run = conversation.run(question, events=True, abort_event=abort, limits=Limits(seconds=120))
    try:
        async with AT_ONCE, aclosing(run):
            async for item in run:
                if isinstance(item, ChatCompletionStreamOutput) and item.choices and item.choices[0].delta.content:
                    yield json.dumps({"text": item.choices[0].delta.content}) + "\n"
                elif isinstance(item, ToolAnswered):
                    yield json.dumps({"tool": item.tool, "failed": item.result.is_error}) + "\n"
    except TinyAgentsError as error:
        stopped = "failed"
        print(error, file=sys.stderr)  # for us; who asked needn't know our hosts and files
        yield json.dumps({"error": "Sorry, that didn't work."}) + "\n"
    else:
        if not abort.is_set():
            stopped = str(conversation.stop_reason)
        yield json.dumps({"stop_reason": conversation.stop_reason, "usage": str(conversation.usage)}) + "\n"
    finally:
        watching.cancel()
        print(f"stopped: {stopped}", flush=True)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with Agent(model=MODEL, base_url=os.environ.get("TINY_AGENTS_BASE_URL")) as agent:
        agent.add_tool(word_count)
        await agent.load_tools()
        app.state.agent = agent
        yield


app = FastAPI(lifespan=lifespan, openapi_url=None)
app.add_api_route("/", page)
app.add_api_route("/ask", ask, methods=["POST"])

if __name__ == "__main__":
    listening = socket.create_server(("127.0.0.1", int(sys.argv[1]) if len(sys.argv) > 1 else 8000))
    print(f"http://127.0.0.1:{listening.getsockname()[1]}", flush=True)
    uvicorn.Server(uvicorn.Config(app, log_level="warning")).run(sockets=[listening])
