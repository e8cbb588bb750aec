"""What the relay may do, as values and pure functions: no clock, socket, disk, randomness or logging."""
