"""The Model Context Protocol as a client speaks it: messages are plain dicts, how they travel is `transports`' business."""
