"""Counting what tenants do: requests, streams and attempts, in memory or in Redis."""
