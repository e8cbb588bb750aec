"""The local tools: a 0600 unix socket in the state folder, and the commands behind it."""
