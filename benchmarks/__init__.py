"""Speed beside what a user would take instead; one command each, see README."""
