"""The job queues of providers, as scripts for `provider_script`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.support.provider_script import CDN, IMAGE, VIDEO
from tiny_agents.inference.call import Call
from tiny_agents.inference.tasks.vision import text_to_image, text_to_video


@dataclass
class Queue:
    """How the jobs of one provider look.

    Attributes:
        taken, running, failed: Answers to the call, to a look at the job while it runs, and once it has failed.
        done: Answers from the look that finds it done to the result.
        base: The provider's own address.
        asked: The call and a look, `{}` standing for the address that the call goes to.
        gives: "image" or "video".
        keeps_key: Whether looks carry the key.
    """

    call: Callable[[], Call[Any]]
    taken: Any
    running: Any
    done: list[Any]
    failed: Any
    base: str
    asked: list[str]
    gives: str = "video"
    keeps_key: bool = True


QUEUES = {
    "black-forest-labs": Queue(
        lambda: text_to_image("a cat"),
        {"id": "1", "polling_url": "https://api.eu1.bfl.ai/v1/get_result?id=1"},
        {"status": "Pending"},
        [{"status": "Ready", "result": {"sample": CDN}}, IMAGE],
        {"status": "Content Moderated", "details": {"reason": "bad prompt"}},
        "https://api.us1.bfl.ai",
        ["POST {}/v1/served/m", "GET https://api.eu1.bfl.ai/v1/get_result?id=1"],
        gives="image",
        keeps_key=False,
    ),
    "fal-ai": Queue(
        lambda: text_to_video("a cat"),
        {"request_id": "r", "status": "IN_QUEUE", "response_url": "https://queue.fal.run/served/requests/r"},
        {"status": "IN_PROGRESS"},
        [{"status": "COMPLETED"}, {"video": {"url": CDN}}, VIDEO],
        {"status": "FAILED", "error": "bad prompt"},
        "https://queue.fal.run",
        ["POST {}/served/m?_subdomain=queue", "GET {}/served/requests/r/status?_subdomain=queue"],
    ),
    "replicate": Queue(
        lambda: text_to_video("a cat"),
        {"status": "starting", "output": None, "urls": {"get": "https://api.replicate.com/v1/predictions/p"}},
        {"status": "processing", "output": None},
        [{"status": "succeeded", "output": [CDN]}, VIDEO],
        {"status": "failed", "error": "bad prompt", "output": None},
        "https://api.replicate.com",
        ["POST {}/v1/models/served/m/predictions", "GET {}/v1/predictions/p"],
    ),
    "together": Queue(
        lambda: text_to_video("a cat"),
        {"id": "v/1"},
        {"id": "v/1", "status": "in_progress"},
        [{"status": "completed", "outputs": {"video_url": CDN}}, VIDEO],
        {"status": "failed", "error": {"message": "bad prompt"}},
        "https://api.together.xyz",
        ["POST {}/v2/videos", "GET {}/v2/videos/v%2F1"],
    ),
    "wavespeed": Queue(
        lambda: text_to_video("a cat"),
        {"data": {"id": "j", "urls": {"get": "https://api.wavespeed.ai/api/v3/predictions/j/result"}}},
        {"data": {"status": "processing"}},
        [{"data": {"status": "completed", "outputs": [CDN]}}, VIDEO],
        {"data": {"status": "failed", "error": "bad prompt"}},
        "https://api.wavespeed.ai",
        ["POST {}/api/v3/served/m", "GET {}/api/v3/predictions/j/result"],
    ),
    "zai-org": Queue(
        lambda: text_to_image("a cat"),
        {"id": "t", "task_status": "PROCESSING"},
        {"task_status": "PROCESSING"},
        [{"task_status": "SUCCESS", "image_result": [{"url": CDN}]}, IMAGE],
        {"task_status": "FAIL", "error": {"code": "1", "message": "bad prompt"}},
        "https://api.z.ai",
        ["POST {}/api/paas/v4/async/images/generations", "GET {}/api/paas/v4/async-result/t"],
        gives="image",
    ),
}
