"""Images in, labels, text, images or videos out; and images and videos from text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from tiny_agents.errors import UsageError
from tiny_agents.inference.call import Call
from tiny_agents.inference.media import ContentT, content, pillow
from tiny_agents.inference.tasks.parameters import given, texts
from tiny_agents.inference.types.tasks import (
    DocumentQuestionAnsweringOutputElement,
    ImageClassificationOutputElement,
    ImageClassificationOutputTransform,
    ImageSegmentationOutputElement,
    ImageSegmentationSubtask,
    ImageToImageTargetSize,
    ImageToTextOutput,
    ImageToVideoTargetSize,
    ObjectDetectionOutputElement,
    VisualQuestionAnsweringOutputElement,
    ZeroShotImageClassificationOutputElement,
)

if TYPE_CHECKING:
    from PIL.Image import Image


def document_question_answering(
    image: ContentT,
    question: str,
    *,
    model: str | None = None,
    doc_stride: int | None = None,
    handle_impossible_answer: bool | None = None,
    lang: str | None = None,
    max_answer_len: int | None = None,
    max_question_len: int | None = None,
    max_seq_len: int | None = None,
    top_k: int | None = None,
    word_boxes: list[list[float] | str] | None = None,
) -> Call[list[DocumentQuestionAnsweringOutputElement]]:
    """Answer a question about the image of a document.

    Args:
        image: The document: bytes, an open file, a path, a URL, or a PIL image.
        question: The question.
        model: Id on the Hub, or URL of an endpoint, for this call in place of the client's.
        doc_stride: Words by which the pieces of a long document overlap.
        handle_impossible_answer: Whether "there is no answer" may be the answer.
        lang: Language for reading the image, as the server's OCR names it: "en".
        max_answer_len: Most tokens of an answer.
        max_question_len: Most tokens of the question; more are cut off.
        max_seq_len: Most tokens of question and one piece of the document together.
        top_k: How many answers to return at most, the likeliest first.
        word_boxes: Words and their boxes, each box as fractions of the image (x0, y0, x1, y1): the image is not read
            for words then.

    Returns:
        One `DocumentQuestionAnsweringOutputElement` per answer: `answer`, `score` from 0 to 1, and from which word
        (`start`) to which (`end`) it stands.

    Raises:
        InferenceTimeoutError, InferenceConnectionError, ProviderError, InvalidResponseError: While asking.
        MissingCredentialsError, UnsupportedTaskError, UsageError: Before anything is sent to the model; a file that can't
            be read is an `UnreadableInputError`, one that isn't there an `InputNotFoundError`.

    Example:
        >>> client = InferenceClient(provider="hf-inference", model="impira/layoutlm-document-qa")
        >>> client.document_question_answering("invoice.png", "What is the total?")[0].answer
        '42 EUR'

    Source: Hugging Face "Tasks" documentation, "Document Question Answering".
    """
    return Call(
        "document-question-answering",
        {"image": content(image, "image"), "question": question},
        list[DocumentQuestionAnsweringOutputElement],
        model=model,
        parameters=given(
            doc_stride=doc_stride,
            handle_impossible_answer=handle_impossible_answer,
            lang=lang,
            max_answer_len=max_answer_len,
            max_question_len=max_question_len,
            max_seq_len=max_seq_len,
            top_k=top_k,
            word_boxes=word_boxes,
        ),
    )


def image_classification(
    image: ContentT,
    *,
    model: str | None = None,
    function_to_apply: ImageClassificationOutputTransform | None = None,
    top_k: int | None = None,
) -> Call[list[ImageClassificationOutputElement]]:
    """Say what is in an image.

    Args:
        image: Bytes, an open file, a path, a URL, or a PIL image.
        model: Id on the Hub, or URL of an endpoint, for this call in place of the client's.
        function_to_apply: What turns the model's raw outputs into scores.
        top_k: How many classes to return at most, the likeliest first.

    Returns:
        One `ImageClassificationOutputElement` per class: its `label`, and its `score` from 0 to 1.

    Raises:
        InferenceTimeoutError, InferenceConnectionError, ProviderError, InvalidResponseError: While asking.
        MissingCredentialsError, UnsupportedTaskError, UsageError: Before anything is sent to the model; a file that can't
            be read is an `UnreadableInputError`, one that isn't there an `InputNotFoundError`.

    Example:
        >>> client = InferenceClient(provider="hf-inference", model="google/vit-base-patch16-224")
        >>> client.image_classification("dog.jpg", top_k=1)[0].label
        'Blenheim spaniel'

    Source: Hugging Face "Inference Providers" documentation, task "Image Classification".
    """
    return Call(
        "image-classification",
        content(image, "image"),
        list[ImageClassificationOutputElement],
        model=model,
        parameters=given(function_to_apply=function_to_apply, top_k=top_k),
    )


def image_segmentation(
    image: ContentT,
    *,
    model: str | None = None,
    mask_threshold: float | None = None,
    overlap_mask_area_threshold: float | None = None,
    subtask: ImageSegmentationSubtask | None = None,
    threshold: float | None = None,
) -> Call[list[ImageSegmentationOutputElement]]:
    """Divide an image into its parts.

    Args:
        image: Bytes, an open file, a path, a URL, or a PIL image.
        model: Id on the Hub, or URL of an endpoint, for this call in place of the client's.
        mask_threshold: 0 to 1: how sure the model must be that a pixel belongs to a part.
        overlap_mask_area_threshold: 0 to 1: how much of a part must be left once others are taken off it.
        subtask: Which parts: single things ("instance"), everything of a kind ("semantic"), or both ("panoptic").
        threshold: 0 to 1: parts with a lower score are left out.

    Returns:
        One `ImageSegmentationOutputElement` per part: its `label`, its `score` from 0 to 1, and its `mask`, a `PIL.Image`
        of the input's size.

    Raises:
        MissingDependencyError: Pillow isn't installed (extra `images`).
        InferenceTimeoutError, InferenceConnectionError, ProviderError, InvalidResponseError: While asking.
        MissingCredentialsError, UnsupportedTaskError, UsageError: Before anything is sent to the model; a file that can't
            be read is an `UnreadableInputError`, one that isn't there an `InputNotFoundError`.

    Example:
        >>> client = InferenceClient(provider="hf-inference", model="facebook/mask2former-swin-large-coco-panoptic")
        >>> for part in client.image_segmentation("cat.jpg", threshold=0.9):
        ...     part.mask.save(f"{part.label}.png")

    Source: Hugging Face "Inference Providers" documentation, task "Image Segmentation".
    """
    pillow("image_segmentation")
    return Call(
        "image-segmentation",
        content(image, "image"),
        list[ImageSegmentationOutputElement],
        model=model,
        parameters=given(
            mask_threshold=mask_threshold,
            overlap_mask_area_threshold=overlap_mask_area_threshold,
            subtask=subtask,
            threshold=threshold,
        ),
    )


def image_to_image(
    image: ContentT,
    prompt: str | None = None,
    *,
    negative_prompt: str | None = None,
    num_inference_steps: int | None = None,
    guidance_scale: float | None = None,
    model: str | None = None,
    target_size: ImageToImageTargetSize | Mapping[str, int] | None = None,
    **kwargs: Any,
) -> Call[Image]:
    """Change an image as a text says.

    Args:
        image: Bytes, an open file, a path, a URL, or a PIL image.
        prompt: What the image should become.
        negative_prompt: What should not be seen in it.
        num_inference_steps: Steps of the diffusion; more take longer and are usually better.
        guidance_scale: How closely the prompt is followed; from about 1 (loosely) to 20.
        model: Id on the Hub, or URL of an endpoint, for this call in place of the client's.
        target_size: Height and width of the result in pixels: `{"height": 512, "width": 512}`.
        **kwargs: Further parameters by their names at the provider: `strength=0.6`.

    Returns:
        A `PIL.Image`. Its pixels are decoded when they are first asked for.

    Raises:
        MissingDependencyError: Pillow isn't installed (extra `images`).
        InferenceTimeoutError, InferenceConnectionError, ProviderError, InvalidResponseError: While asking.
        MissingCredentialsError, UnsupportedTaskError, UsageError: Before anything is sent to the model; a file that can't
            be read is an `UnreadableInputError`, one that isn't there an `InputNotFoundError`.

    Example:
        >>> client = InferenceClient(provider="replicate", model="black-forest-labs/FLUX.1-Kontext-dev")
        >>> client.image_to_image("cat.jpg", "turn the cat into a tiger").save("tiger.png")

    Source: Hugging Face "Inference Providers" documentation, task "Image to Image".
    """
    return Call(
        "image-to-image",
        content(image, "image"),
        pillow("image_to_image").Image,
        model=model,
        parameters=given(
            prompt=prompt,
            negative_prompt=negative_prompt,
            target_size=target_size,
            num_inference_steps=num_inference_steps,
            guidance_scale=guidance_scale,
            **kwargs,
        ),
    )


def image_to_text(image: ContentT, *, model: str | None = None) -> Call[ImageToTextOutput]:
    """Describe an image, or read the text in it.

    Args:
        image: Bytes, an open file, a path, a URL, or a PIL image.
        model: Id on the Hub, or URL of an endpoint, for this call in place of the client's.

    Returns:
        `ImageToTextOutput`; `generated_text` is the text.

    Raises:
        InferenceTimeoutError, InferenceConnectionError, ProviderError, InvalidResponseError: While asking.
        MissingCredentialsError, UnsupportedTaskError, UsageError: Before anything is sent to the model; a file that can't
            be read is an `UnreadableInputError`, one that isn't there an `InputNotFoundError`.

    Example:
        >>> client = InferenceClient(provider="hf-inference", model="Salesforce/blip-image-captioning-base")
        >>> client.image_to_text("cat.jpg").generated_text
        'a cat standing in a grassy field'

    Source: Hugging Face "Tasks" documentation, "Image to Text".
    """
    return Call("image-to-text", content(image, "image"), ImageToTextOutput, model=model)


def image_to_video(
    image: ContentT,
    *,
    model: str | None = None,
    prompt: str | None = None,
    negative_prompt: str | None = None,
    num_frames: float | None = None,
    num_inference_steps: int | None = None,
    guidance_scale: float | None = None,
    seed: int | None = None,
    target_size: ImageToVideoTargetSize | Mapping[str, int] | None = None,
    **kwargs: Any,
) -> Call[bytes]:
    """Bring an image to life.

    Args:
        image: Bytes, an open file, a path, a URL, or a PIL image.
        model: Id on the Hub, or URL of an endpoint, for this call in place of the client's.
        prompt: What should happen in the video.
        negative_prompt: What should not be seen in it.
        num_frames: Length of the video in frames.
        num_inference_steps: Steps of the diffusion; more take longer and are usually better.
        guidance_scale: How closely the prompt is followed; from about 1 (loosely) to 20.
        seed: For videos that repeat, where the model can.
        target_size: Height and width of the video in pixels: `{"height": 512, "width": 512}`.
        **kwargs: Further parameters by their names at the provider.

    Returns:
        The bytes of a video file, usually MP4.

    Raises:
        InferenceTimeoutError, InferenceConnectionError, ProviderError, InvalidResponseError: While asking.
        MissingCredentialsError, UnsupportedTaskError, UsageError: Before anything is sent to the model; a file that can't
            be read is an `UnreadableInputError`, one that isn't there an `InputNotFoundError`.

    Example:
        >>> client = InferenceClient(provider="fal-ai", model="Wan-AI/Wan2.2-I2V-A14B")
        >>> Path("cat.mp4").write_bytes(client.image_to_video("cat.jpg", prompt="the cat stretches"))

    Source: Hugging Face "Inference Providers" documentation, task "Image to Video".
    """
    return Call(
        "image-to-video",
        content(image, "image"),
        bytes,
        model=model,
        parameters=given(
            prompt=prompt,
            negative_prompt=negative_prompt,
            num_frames=num_frames,
            num_inference_steps=num_inference_steps,
            guidance_scale=guidance_scale,
            seed=seed,
            target_size=target_size,
            **kwargs,
        ),
    )


def object_detection(
    image: ContentT, *, model: str | None = None, threshold: float | None = None
) -> Call[list[ObjectDetectionOutputElement]]:
    """Find the things in an image.

    Args:
        image: Bytes, an open file, a path, a URL, or a PIL image.
        model: Id on the Hub, or URL of an endpoint, for this call in place of the client's.
        threshold: 0 to 1: things with a lower score are left out.

    Returns:
        One `ObjectDetectionOutputElement` per thing: its `label`, its `score` from 0 to 1, and its `box`: `xmin`, `ymin`,
        `xmax`, `ymax` in pixels from the upper left corner.

    Raises:
        InferenceTimeoutError, InferenceConnectionError, ProviderError, InvalidResponseError: While asking.
        MissingCredentialsError, UnsupportedTaskError, UsageError: Before anything is sent to the model; a file that can't
            be read is an `UnreadableInputError`, one that isn't there an `InputNotFoundError`.

    Example:
        >>> client = InferenceClient(provider="hf-inference", model="facebook/detr-resnet-50")
        >>> [(thing.label, thing.box.xmin) for thing in client.object_detection("people.jpg", threshold=0.9)]
        [('person', 59), ('bicycle', 212)]

    Source: Hugging Face "Inference Providers" documentation, task "Object Detection".
    """
    return Call(
        "object-detection",
        content(image, "image"),
        list[ObjectDetectionOutputElement],
        model=model,
        parameters=given(threshold=threshold),
    )


def text_to_image(
    prompt: str,
    *,
    negative_prompt: str | None = None,
    height: int | None = None,
    width: int | None = None,
    num_inference_steps: int | None = None,
    guidance_scale: float | None = None,
    model: str | None = None,
    scheduler: str | None = None,
    seed: int | None = None,
    extra_body: Mapping[str, Any] | None = None,
) -> Call[Image]:
    """Paint what a text describes.

    Args:
        prompt: What should be seen.
        negative_prompt: What should not.
        height: Height of the image in pixels.
        width: Width of the image in pixels.
        num_inference_steps: Steps of the diffusion; more take longer and are usually better.
        guidance_scale: How closely the prompt is followed; from about 1 (loosely) to 20.
        model: Id on the Hub, or URL of an endpoint, for this call in place of the client's.
        scheduler: Name of the scheduler, where the model has several.
        seed: For images that repeat, where the model can.
        extra_body: Further parameters by their names at the provider: `{"output_quality": 100}`.

    Returns:
        A `PIL.Image`. Its pixels are decoded when they are first asked for.

    Raises:
        MissingDependencyError: Pillow isn't installed (extra `images`).
        InferenceTimeoutError, InferenceConnectionError, ProviderError, InvalidResponseError: While asking.
        MissingCredentialsError, UnsupportedTaskError, UsageError: Before anything is sent.

    Example:
        >>> client = InferenceClient(provider="together", model="black-forest-labs/FLUX.1-dev")
        >>> client.text_to_image("An astronaut riding a horse on the moon.").save("astronaut.png")

    Source: Hugging Face "Inference Providers" documentation, task "Text to Image".
    """
    parameters = given(
        negative_prompt=negative_prompt,
        height=height,
        width=width,
        num_inference_steps=num_inference_steps,
        guidance_scale=guidance_scale,
        scheduler=scheduler,
        seed=seed,
    )
    return Call(
        "text-to-image",
        prompt,
        pillow("text_to_image").Image,
        model=model,
        parameters=parameters | given(**(extra_body or {})),
    )


def text_to_video(
    prompt: str,
    *,
    model: str | None = None,
    guidance_scale: float | None = None,
    negative_prompt: list[str] | None = None,
    num_frames: float | None = None,
    num_inference_steps: int | None = None,
    seed: int | None = None,
    extra_body: Mapping[str, Any] | None = None,
) -> Call[bytes]:
    """Film what a text describes.

    Args:
        prompt: What should be seen.
        model: Id on the Hub, or URL of an endpoint, for this call in place of the client's.
        guidance_scale: How closely the prompt is followed; from about 1 (loosely) to 20.
        negative_prompt: What should not be seen.
        num_frames: Length of the video in frames.
        num_inference_steps: Steps of the diffusion; more take longer and are usually better.
        seed: For videos that repeat, where the model can.
        extra_body: Further parameters by their names at the provider.

    Returns:
        The bytes of a video file, usually MP4.

    Raises:
        InferenceTimeoutError, InferenceConnectionError, ProviderError, InvalidResponseError: While asking.
        MissingCredentialsError, UnsupportedTaskError, UsageError: Before anything is sent.

    Example:
        >>> client = InferenceClient(provider="fal-ai", model="tencent/HunyuanVideo")
        >>> Path("cat.mp4").write_bytes(client.text_to_video("A cat running in a park"))

    Source: Hugging Face "Inference Providers" documentation, task "Text to Video".
    """
    parameters = given(
        guidance_scale=guidance_scale,
        negative_prompt=negative_prompt,
        num_frames=num_frames,
        num_inference_steps=num_inference_steps,
        seed=seed,
    )
    return Call("text-to-video", prompt, bytes, model=model, parameters=parameters | given(**(extra_body or {})))


def visual_question_answering(
    image: ContentT, question: str, *, model: str | None = None, top_k: int | None = None
) -> Call[list[VisualQuestionAnsweringOutputElement]]:
    """Answer a question about an image.

    Args:
        image: Bytes, an open file, a path, a URL, or a PIL image.
        question: The question.
        model: Id on the Hub, or URL of an endpoint, for this call in place of the client's.
        top_k: How many answers to return at most, the likeliest first.

    Returns:
        One `VisualQuestionAnsweringOutputElement` per answer: `answer`, and `score` from 0 to 1.

    Raises:
        InferenceTimeoutError, InferenceConnectionError, ProviderError, InvalidResponseError: While asking.
        MissingCredentialsError, UnsupportedTaskError, UsageError: Before anything is sent to the model; a file that can't
            be read is an `UnreadableInputError`, one that isn't there an `InputNotFoundError`.

    Example:
        >>> client = InferenceClient(provider="hf-inference", model="dandelin/vilt-b32-finetuned-vqa")
        >>> client.visual_question_answering("tiger.jpg", "What is the animal doing?")[0].answer
        'laying down'

    Source: Hugging Face "Tasks" documentation, "Visual Question Answering".
    """
    return Call(
        "visual-question-answering",
        {"image": content(image, "image"), "question": question},
        list[VisualQuestionAnsweringOutputElement],
        model=model,
        parameters=given(top_k=top_k),
    )


def zero_shot_image_classification(
    image: ContentT,
    candidate_labels: Iterable[str],
    *,
    model: str | None = None,
    hypothesis_template: str | None = None,
) -> Call[list[ZeroShotImageClassificationOutputElement]]:
    """Say which of the given labels fits an image.

    Args:
        image: Bytes, an open file, a path, a URL, or a PIL image.
        candidate_labels: The labels to choose from, at least two.
        model: Id on the Hub, or URL of an endpoint, for this call in place of the client's.
        hypothesis_template: Sentence that a label is put into: "This is a photo of {}".

    Returns:
        One `ZeroShotImageClassificationOutputElement` per label: `label`, and `score` from 0 to 1.

    Raises:
        UsageError: Fewer than two labels.
        InferenceTimeoutError, InferenceConnectionError, ProviderError, InvalidResponseError: While asking.
        MissingCredentialsError, UnsupportedTaskError: Before anything is sent to the model; a file that can't be read is
            an `UnreadableInputError`, one that isn't there an `InputNotFoundError`.

    Example:
        >>> client = InferenceClient(provider="hf-inference", model="openai/clip-vit-large-patch14")
        >>> client.zero_shot_image_classification("dog.jpg", ["dog", "cat"])[0].label
        'dog'

    Source: Hugging Face "Tasks" documentation, "Zero-Shot Image Classification".
    """
    labels = texts(candidate_labels, "candidate_labels")
    if len(labels) < 2:
        raise UsageError("candidate_labels: at least two labels are needed to choose from.")
    return Call(
        "zero-shot-image-classification",
        content(image, "image"),
        list[ZeroShotImageClassificationOutputElement],
        model=model,
        parameters=given(candidate_labels=labels, hypothesis_template=hypothesis_template),
    )
