"""Speech engines: the contract, the registry and the implementations.

Nothing here depends on HTTP, tenants or storage; see ``docs/architecture.md``.
"""
