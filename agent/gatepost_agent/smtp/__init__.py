"""The SMTP shell: listeners, sessions, and what they count and log."""
