"""Publishing: immutable revisions, and going back to one."""
