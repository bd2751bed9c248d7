"""Recordings of a voice: from a file that a stranger uploaded to a canonical wav and a report on it.

What is in the file is looked at by a child process alone; see :mod:`services.samples.examine`.
"""
