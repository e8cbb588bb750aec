"""What would happen to a client, and why."""
