"""The agent plane: enrolment, check-in, bundles."""
