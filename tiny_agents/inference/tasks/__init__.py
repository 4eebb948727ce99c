"""One typed, documented builder per task: what the user wants, as a `Call`."""
