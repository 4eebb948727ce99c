"""A thousand conversations, one in five of which goes wrong: `make soak`. Not part of `make test`."""
