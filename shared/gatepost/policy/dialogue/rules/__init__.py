"""Pure checks, one module per moment of the dialogue, called in order by `session.py`."""
