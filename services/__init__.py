"""What the network talks to: the Gateway, the engine runners, audio coding and the command line."""

__version__ = "0.1.0"
