"""HTTP below the app: the server, its protocol, and how fast bodies and errors pass."""
