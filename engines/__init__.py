"""Speech engines: their contract, the registry, and the engines themselves.

Nothing here depends on HTTP, tenants or storage; see ``docs/architecture.md``.
"""
