"""What publishing would change, and whether it may."""
