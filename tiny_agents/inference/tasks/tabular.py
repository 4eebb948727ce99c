"""Tables in, answers and predictions out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tiny_agents.inference.call import Call
from tiny_agents.inference.tasks.parameters import given
from tiny_agents.inference.types.tasks import Padding, TableQuestionAnsweringOutputElement


def table_question_answering(
    table: Mapping[str, Any],
    query: str,
    *,
    model: str | None = None,
    padding: Padding | None = None,
    sequential: bool | None = None,
    truncation: bool | None = None,
) -> Call[TableQuestionAnsweringOutputElement]:
    """Answer a question about a table.

    Args:
        table: Name of each column to its cells, as text, from the first row to the last; all columns are equally long.
        query: The question.
        model: Id on the Hub, or URL of an endpoint, for this call in place of the client's.
        padding: How inputs are filled up to the same length.
        sequential: Whether cells are read one after the other rather than all at once: slower, and for conversations.
        truncation: Whether rows that are too much for the model are left out.

    Returns:
        `TableQuestionAnsweringOutputElement`: the `answer`, the `cells` it comes from, their `coordinates` (row, column,
        from 0), and the `aggregator` that puts them together.

    Raises:
        InferenceTimeoutError, InferenceConnectionError, ProviderError, InvalidResponseError: While asking.
        MissingCredentialsError, UnsupportedTaskError, UsageError: Before anything is sent.

    Example:
        >>> client = InferenceClient(provider="hf-inference", model="google/tapas-base-finetuned-wtq")
        >>> table = {"City": ["Paris", "Rome"], "Population": ["2100000", "2800000"]}
        >>> client.table_question_answering(table, "Which city is larger?").answer
        'Rome'

    Source: Hugging Face "Inference Providers" documentation, task "Table Question Answering".
    """
    return Call(
        "table-question-answering",
        {"query": query, "table": dict(table)},
        TableQuestionAnsweringOutputElement,
        model=model,
        # The model's name among the parameters is what huggingface_hub sends.
        parameters=given(model=model, padding=padding, sequential=sequential, truncation=truncation),
    )


def tabular_classification(table: Mapping[str, Any], *, model: str | None = None) -> Call[list[str]]:
    """Say to which class each row of a table belongs.

    Args:
        table: Name of each column to its cells, as text, from the first row to the last; all columns are equally long.
        model: Id on the Hub, or URL of an endpoint, for this call in place of the client's.

    Returns:
        The label of each row, in their order.

    Raises:
        InferenceTimeoutError, InferenceConnectionError, ProviderError, InvalidResponseError: While asking.
        MissingCredentialsError, UnsupportedTaskError, UsageError: Before anything is sent.

    Example:
        >>> client = InferenceClient(provider="hf-inference", model="julien-c/wine-quality")
        >>> client.tabular_classification({"alcohol": ["9.4", "9.8"], "pH": ["3.51", "3.2"]})
        ['5', '6']

    Source: Hugging Face "Tasks" documentation, "Tabular Classification".
    """
    return Call("tabular-classification", {"table": dict(table)}, list[str], model=model)


def tabular_regression(table: Mapping[str, Any], *, model: str | None = None) -> Call[list[float]]:
    """Predict a number for each row of a table.

    Args:
        table: Name of each column to its cells, as text, from the first row to the last; all columns are equally long.
        model: Id on the Hub, or URL of an endpoint, for this call in place of the client's.

    Returns:
        The number for each row, in their order, in the unit that the model was trained on.

    Raises:
        InferenceTimeoutError, InferenceConnectionError, ProviderError, InvalidResponseError: While asking.
        MissingCredentialsError, UnsupportedTaskError, UsageError: Before anything is sent.

    Example:
        >>> client = InferenceClient(provider="hf-inference", model="scikit-learn/Fish-Weight")
        >>> client.tabular_regression({"Height": ["11.52", "12.48"], "Width": ["4.02", "4.3056"]})
        [110.0, 120.0]

    Source: Hugging Face "Tasks" documentation, "Tabular Regression".
    """
    return Call("tabular-regression", {"table": dict(table)}, list[float], model=model)
