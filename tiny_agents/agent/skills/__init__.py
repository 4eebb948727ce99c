"""Skills: folders with a `SKILL.md` that tells a model how something is done, read by it when it needs them."""
