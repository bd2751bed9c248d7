"""Counters of requests, concurrent streams and failed attempts, in memory or in Redis."""
