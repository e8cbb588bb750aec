"""Delivery: from the spool to the next hop. The story is in README.md beside this file."""
