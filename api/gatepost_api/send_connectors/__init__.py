"""Send connectors of the draft, edited one by one."""
