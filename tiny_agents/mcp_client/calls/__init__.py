"""A model's tool calls: read, mended, allowed, carried out."""
