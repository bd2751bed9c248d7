"""Recordings of a voice: from an untrusted uploaded file to a canonical wav and a quality report.

Only a child process parses the file; see :mod:`services.samples.examine`.
"""
