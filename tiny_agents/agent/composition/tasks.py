"""Inference tasks as tools. Each is a method here: its signature is the schema, its docstring what the model is told."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import msgspec

from tiny_agents.agent.definition.task_names import TASKS
from tiny_agents.agent.loop.request import Request
from tiny_agents.agent.loop.usage import Usage
from tiny_agents.errors import TinyAgentsError, UsageError
from tiny_agents.inference.media import media_type
from tiny_agents.mcp_client.calls.calling import CALLING
from tiny_agents.mcp_client.results.results import ToolResult, failure
from tiny_agents.mcp_client.tools.functions import result_of

if TYPE_CHECKING:
    from tiny_agents.agent.composition.media_files import MediaFiles
    from tiny_agents.inference.async_client import AsyncInferenceClient

ImageFile = Annotated[str, "Path of an image."]
SoundFile = Annotated[str, "Path of a file of sound."]
Pixels = Annotated[int, msgspec.Meta(ge=16, le=4096)]


class Task:
    """A task at a model.

    Args:
        client: Asks the model; closed with `close`.
        files: What is made, and what may be read.
    """

    def __init__(self, name: str, client: AsyncInferenceClient, files: MediaFiles) -> None:
        if name not in TASKS:
            raise UsageError(f"add_task: there is no task {name!r} that can be a tool; there are {', '.join(TASKS)}")
        self.name = name
        self._client = client
        self._files = files

    @property
    def tool(self) -> Callable[..., Any]:
        """The function that becomes the tool."""
        made: Callable[..., Any] = getattr(self, self.name)
        return made

    async def close(self) -> None:
        await self._client.close()

    # ---- what makes files

    async def text_to_image(
        self,
        prompt: Annotated[str, "What should be seen."],
        negative_prompt: Annotated[str | None, "What should not be seen."] = None,
        width: Annotated[Pixels | None, "Width in pixels."] = None,
        height: Annotated[Pixels | None, "Height in pixels."] = None,
        seed: Annotated[int | None, "The same number for the same image."] = None,
    ) -> ToolResult:
        """Paint an image of what a text describes. It is kept in a file."""
        return await self._image(
            self._client.text_to_image(prompt, negative_prompt=negative_prompt, width=width, height=height, seed=seed)
        )

    async def image_to_image(
        self, image: ImageFile, prompt: Annotated[str, "What is to be changed, or how it should look."]
    ) -> ToolResult:
        """Change an image as a text says. The new one is kept in a file."""
        return await self._image(self._client.image_to_image(self._files.read(image), prompt))

    async def text_to_video(self, prompt: Annotated[str, "What should be seen."]) -> ToolResult:
        """Make a short video of what a text describes. It is kept in a file."""
        return await self._file(self._client.text_to_video(prompt))

    async def text_to_speech(self, text: Annotated[str, "What is to be said."]) -> ToolResult:
        """Read a text aloud. The sound is kept in a file."""
        return await self._file(self._client.text_to_speech(text))

    # ---- what reads files

    async def automatic_speech_recognition(self, audio: SoundFile) -> ToolResult:
        """Write down what is said in a file of sound."""
        answer = await self._asked(self._client.automatic_speech_recognition(self._files.read(audio)))
        return answer if isinstance(answer, ToolResult) else result_of(answer.text or "")

    async def image_to_text(self, image: ImageFile) -> ToolResult:
        """Describe an image."""
        answer = await self._asked(self._client.image_to_text(self._files.read(image)))
        return answer if isinstance(answer, ToolResult) else result_of(str(answer.generated_text or ""))

    async def visual_question_answering(
        self, image: ImageFile, question: Annotated[str, "A question about the image."]
    ) -> ToolResult:
        """Answer a question about an image."""
        return await self._data(self._client.visual_question_answering(self._files.read(image), question))

    async def object_detection(self, image: ImageFile) -> ToolResult:
        """Find things in an image: what they are, and where, in pixels."""
        return await self._data(self._client.object_detection(self._files.read(image)))

    # ---- texts

    async def translation(
        self,
        text: str,
        source_language: Annotated[str | None, "As the model calls it, such as en, or eng_Latn."] = None,
        target_language: Annotated[str | None, "As the model calls it."] = None,
    ) -> ToolResult:
        """Translate a text."""
        asked = self._client.translation(text, src_lang=source_language, tgt_lang=target_language)
        answer = await self._asked(asked)
        return answer if isinstance(answer, ToolResult) else result_of(answer.translation_text)

    async def summarization(self, text: str) -> ToolResult:
        """Shorten a text to what matters in it."""
        answer = await self._asked(self._client.summarization(text))
        return answer if isinstance(answer, ToolResult) else result_of(answer.summary_text)

    async def question_answering(
        self, question: str, context: Annotated[str, "The text that has the answer."]
    ) -> ToolResult:
        """Find the answer to a question in a text."""
        return await self._data(self._client.question_answering(question, context))

    async def zero_shot_classification(
        self, text: str, labels: Annotated[list[str], "What the text may be about."]
    ) -> ToolResult:
        """Say how well each of some labels fits a text."""
        return await self._data(self._client.zero_shot_classification(text, labels))

    async def sentence_similarity(
        self, text: str, others: Annotated[list[str], "The texts that it is compared with."]
    ) -> ToolResult:
        """Say how close each of some texts is in meaning to a text: from 0, not at all, to 1."""
        return await self._data(self._client.sentence_similarity(text, others))

    # ---- asking, and what comes back

    async def _asked(self, asked: Any) -> Any:
        """The answer; a `ToolResult` where there is none. What it costs nobody says, so it is unknown."""
        calling = CALLING.get()
        if calling is not None and isinstance(calling.request, Request):
            calling.request.share(Usage(cost_usd=None))
        try:
            return await asked
        except TinyAgentsError as error:
            return failure(f"{self.name} failed: {error}")

    async def _data(self, asked: Any) -> ToolResult:
        answer = await self._asked(asked)
        return answer if isinstance(answer, ToolResult) else result_of(answer)

    async def _file(self, asked: Any) -> ToolResult:
        answer = await self._asked(asked)
        return answer if isinstance(answer, ToolResult) else self._kept(answer, media_type(answer), "")

    async def _image(self, asked: Any) -> ToolResult:
        image = await self._asked(asked)
        if isinstance(image, ToolResult):
            return image
        buffer = io.BytesIO()
        kind = image.format if image.format in ("PNG", "JPEG", "WEBP", "GIF") else "PNG"
        image.save(buffer, format=kind)
        return self._kept(buffer.getvalue(), f"image/{kind.lower()}", f", {image.width} x {image.height} pixels")

    def _kept(self, data: bytes, mime: str | None, more: str) -> ToolResult:
        path = self._files.keep(self.name, data, mime)
        told = f"Kept in the file {path} ({mime or 'of an unknown kind'}{more})."
        block = {"data": base64.b64encode(data).decode(), "mimeType": mime}
        kinds = {"image": "image", "audio": "audio"}
        kind = kinds.get((mime or "").partition("/")[0])
        media = [{"type": kind, **block}] if kind is not None else []
        return ToolResult(told, content=({"type": "text", "text": told}, *media))
