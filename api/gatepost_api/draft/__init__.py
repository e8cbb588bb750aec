"""The fleet document as it is being edited."""
