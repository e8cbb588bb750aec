"""What both sides and the pipelines share."""

__version__ = "0.1.0"
