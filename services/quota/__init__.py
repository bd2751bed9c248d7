"""Limits and usage of tenants: admission, reservations, and usage records."""
