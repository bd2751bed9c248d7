"""Coordination of the processes on one host: shared memory budget, runtime folder and parent process."""
