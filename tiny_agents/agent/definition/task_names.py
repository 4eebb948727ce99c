"""The inference tasks that can become tools, by their names at `InferenceClient`, and what their results are. Pure."""

from __future__ import annotations

from collections.abc import Mapping

TASKS: Mapping[str, str] = {
    "text_to_image": "an image, in a file",
    "image_to_image": "an image, in a file",
    "text_to_video": "a video, in a file",
    "text_to_speech": "sound, in a file",
    "automatic_speech_recognition": "what is said in a file of sound",
    "image_to_text": "what is seen in an image",
    "visual_question_answering": "an answer about an image",
    "object_detection": "things in an image, and where",
    "translation": "the text in another language",
    "summarization": "a shorter text",
    "question_answering": "an answer from a text",
    "zero_shot_classification": "how well labels fit a text",
    "sentence_similarity": "how close texts are to a text, by their embeddings",
}
"""Task -> what its tool returns."""
