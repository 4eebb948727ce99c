"""Tests of an agent, as its definition has them: cases, what is expected of each, and how they are run."""
