"""Who did what, from where, and why."""
