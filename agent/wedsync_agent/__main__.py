"""`python -m wedsync_agent`."""

from wedsync_agent.cli import main

main()
