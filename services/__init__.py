"""Servers and clients: the Gateway, the engine runners, audio coding and the command line."""

__version__ = "0.1.0"
