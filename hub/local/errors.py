"""What this room raises."""


class StartError(Exception):
    """Something on this machine is in the way; the message is one line for whoever typed the command."""


class StopRequested(Exception):
    """A signal asked us to stop."""
