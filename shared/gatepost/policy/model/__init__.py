"""What is configured: the fleet document, the bundle rendered from it, and the values in both."""
