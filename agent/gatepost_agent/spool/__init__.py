"""The durable queue: 250 is said only for what is here (see README.md)."""
