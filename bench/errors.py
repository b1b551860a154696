"""What this room raises."""


class BenchError(Exception):
    """The measurement cannot go on, or means nothing; the message is one line."""
