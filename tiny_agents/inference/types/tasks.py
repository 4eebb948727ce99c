"""Results of the tasks other than chat, under the names huggingface_hub gave them."""

from __future__ import annotations

from typing import Literal

from tiny_agents.inference.types.record import Record

SummarizationTruncationStrategy = Literal["do_not_truncate", "longest_first", "only_first", "only_second"]


class SummarizationOutput(Record):
    """`summary_text` is the shortened text."""

    summary_text: str | None = None
