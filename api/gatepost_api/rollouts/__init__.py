"""How a published revision is getting on, server by server."""
