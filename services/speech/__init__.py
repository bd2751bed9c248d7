"""A request being spoken: its script, its stream, its answer, what is kept of it."""
