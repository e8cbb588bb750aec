"""Accepted domains of the draft, edited one by one."""
