"""What happens in an SMTP session: events in, decisions out."""
