"""Access control entries of a connector, as rows."""
