"""The identity of a request's caller, and its permissions."""
