"""What ends a command early, beside the client's errors."""


class CommandError(Exception):
    """What was asked for cannot be done with what is there; the text names it and the remedy."""


class Interrupted(Exception):
    """Ctrl-C; what was asked of the control plane before it stands."""


class UsageRefused(Exception):
    """The command line cannot be meant: a missing setting, options that exclude each other, no such file."""
