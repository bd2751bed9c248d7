"""HTTP below the app: the server, its protocol, and the pacing of request bodies and errors."""
