"""API tokens of people and pipelines."""
