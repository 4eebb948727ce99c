"""`python -m tiny_agents` is the command `tiny-agents`."""

import sys

from tiny_agents.cli import main

if __name__ == "__main__":
    sys.exit(main())
