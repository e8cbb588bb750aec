"""The agent's own errors; each text says what to do."""


class AgentError(Exception):
    """Root of what stops a command of the agent."""


class UsageRefused(AgentError):
    """What was asked for cannot be done as asked: the command line's exit code is 64."""


class StateRefused(AgentError):
    """The state folder, or a file in it, is not what this agent may use."""


class AlreadyRunning(StateRefused):
    """Another agent holds the state folder."""


class NotEnrolled(AgentError):
    """The state folder holds no identity."""
