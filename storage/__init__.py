"""Persistent storage: the database and the object store, and their settings."""
