"""The control side: enrolment, check-in, and how a config comes to run."""
