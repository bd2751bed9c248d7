"""Speech engines: the contract they meet, the registry that finds them, and the engines themselves.

Nothing in here knows of HTTP, tenants or storage; see ``docs/architecture.md``.
"""
