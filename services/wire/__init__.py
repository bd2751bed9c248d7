"""The protocol between Gateways and runners: frames, recordings, and the client."""
