"""The fleet's denied set: blocks past everything."""
