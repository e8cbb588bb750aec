"""What can be said about a configuration before anybody runs it."""
