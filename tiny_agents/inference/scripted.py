"""`ScriptedClient`: a model that answers what was written down beforehand. For tests of agents; nothing is sent anywhere."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NoReturn

from tiny_agents.errors import UsageError
from tiny_agents.inference.async_client import AsyncInferenceClient
from tiny_agents.inference.call import Call, Route
from tiny_agents.inference.events import CHAT
from tiny_agents.inference.script import SCRIPTED, SCRIPTED_HOST, Script, ScriptedAnswer
from tiny_agents.inference.streams import AsyncChatStream

SCRIPTED_URL = f"http://{SCRIPTED_HOST}/v1"


class ScriptedClient(AsyncInferenceClient):
    """A client whose answers are a script: `Agent(client=ScriptedClient(["Hello."]))`.

    Args:
        answers: In the order in which they are given; a text is an answer in text.

    Attributes:
        script: What is left of it: `script.left`, `script.given`.
    """

    script: Script

    def __init__(self, answers: Iterable[ScriptedAnswer | str] | Script) -> None:
        if not isinstance(answers, Script):
            answers = Script(ScriptedAnswer(each) if isinstance(each, str) else each for each in answers)
        self.script = answers
        super().__init__(base_url=SCRIPTED_URL, token=False)

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "script": self.script}

    async def chat_completion(self, messages: Iterable[Any], *, stream: bool = False, **options: Any) -> Any:
        """The next answer of the script, whatever the options.

        Raises:
            InferenceError: The script has none for these messages.
        """
        said: list[Mapping[str, Any]] = list(messages)
        output = self.script.take(said)
        if not stream:
            return output
        route = Route(SCRIPTED, SCRIPTED_URL, SCRIPTED, None, is_endpoint=True)
        return AsyncChatStream(None, CHAT.events(route, SCRIPTED_URL), CHAT.pieces(output))

    async def run(self, call: Call[Any]) -> NoReturn:
        """Raises UsageError: a script has no answers for any other task."""
        raise UsageError(f"A scripted client answers chats alone, and can't do {call.task}.")

    async def _stream(self, call: Call[Any], kind: object) -> NoReturn:
        await self.run(call)
