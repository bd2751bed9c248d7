"""Tenants, users and keys: authentication, permissions and administration."""
