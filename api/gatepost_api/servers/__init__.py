"""Mail hosts: what they are, what they shall run, what they say."""
