"""`python -m hub`: the command line."""

import gc

# Hardly anything that imports make is garbage, and looking for it every 700 objects took a seventh of a start.
gc.set_threshold(50_000, 20, 50)

from hub.cli import main  # noqa: E402

main()
