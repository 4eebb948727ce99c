"""`InferenceApi`, the oldest way to ask a model: one object per model, called like a function. Kept working.

Source: huggingface_hub 0.28 and 0.33, reference "Inference".
"""

from __future__ import annotations

import warnings
from typing import Any

from tiny_agents.errors import NotOfferedError, UsageError
from tiny_agents.inference.call import Call
from tiny_agents.inference.client import InferenceClient
from tiny_agents.inference.http.clients import OwnClient
from tiny_agents.inference.legacy import API, KNOWN_TASKS, MODEL_INFO, PIPELINE, RawAnswer
from tiny_agents.inference.media import image_of


class InferenceApi:
    """One model on Hugging Face's servers, called like a function.

    Deprecated: use `InferenceClient`, which has a method per task. Making one asks the Hub what the model is for.

    Args:
        repo_id: The model's id on the Hub.
        task: What it is to do, if not what it is made for.
        token: A Hugging Face token; by default the saved one.
        gpu: Ask for a GPU.
        http_client: Your own `httpx2.Client`; never closed.

    Raises:
        UsageError: The Hub does not say what the model is for, and `task` does not either.
        ProviderError, InferenceTimeoutError, InferenceConnectionError: While asking the Hub.

    Example:
        >>> fill = InferenceApi("bert-base-uncased")
        >>> fill("The goal of life is [MASK].")
    """

    def __init__(
        self,
        repo_id: str,
        task: str | None = None,
        token: str | None = None,
        gpu: bool = False,
        *,
        http_client: OwnClient | None = None,
    ) -> None:
        warnings.warn("InferenceApi is an older name: use InferenceClient.", FutureWarning, stacklevel=2)
        self.repo_id = repo_id
        self.options = {"wait_for_model": True, "use_gpu": gpu}
        self._settings: dict[str, Any] = {"model": repo_id, "token": token, "http_client": http_client}
        made_for = self._run(Call(MODEL_INFO, None, dict[str, Any])).get("pipeline_tag")
        found = task or made_for
        if not isinstance(found, str):
            raise UsageError(f"{repo_id}: the Hub does not say what this model is for; pass task=.")
        if task not in (None, made_for) and task not in KNOWN_TASKS:
            raise UsageError(f"There is no task {task!r} here. Known: {', '.join(sorted(KNOWN_TASKS))}.")
        self.task = found
        self.api_url = f"{API}/pipeline/{found}/{repo_id}"

    def __call__(
        self,
        inputs: str | dict[str, Any] | list[Any] | None = None,
        params: dict[str, Any] | None = None,
        data: bytes | None = None,
        raw_response: bool = False,
    ) -> Any:
        """Ask the model.

        Args:
            inputs: What the task works on.
            params: Options of the task.
            data: Bytes to send in place of `inputs` and `params`: a picture, a sound.
            raw_response: Return the answer as it is: bytes with `.content`, `.headers`, `.status_code`, `.json()`.

        Returns:
            What the server's JSON says, or a PIL image (extra `images`).

        Raises:
            NotOfferedError: The answer is neither JSON nor an image; `raw_response=True` returns it.
            ProviderError, InferenceTimeoutError, InferenceConnectionError: While asking.
        """
        body: dict[str, Any] = {"options": self.options}
        if inputs:
            body["inputs"] = inputs
        if params:
            body["parameters"] = params
        answer = self._run(Call(PIPELINE, body if data is None else data, RawAnswer, None, {"task": self.task}))
        if raw_response:
            return answer
        kind = answer.headers.get("content-type", "").partition(";")[0].strip()
        if kind.startswith("image"):
            return image_of(answer.content, source=self.api_url)
        if kind == "application/json":
            return answer.json()
        raise NotOfferedError(
            f"{self.api_url} answered with {kind or 'no type'}; raw_response=True returns it as it is."
        )

    def __repr__(self) -> str:
        return f"InferenceApi(api_url={self.api_url!r}, task={self.task!r}, options={self.options!r})"

    def _run(self, call: Call[Any]) -> Any:
        with InferenceClient(**self._settings) as client:
            return client.run(call)
