"""Relay users: who may log on to the relay with AUTH."""
