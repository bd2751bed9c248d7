"""All SQL, a repository for each table. What belongs to a tenant has a repository made for that tenant.

A repository works in the session it was given and never commits: who opened the transaction ends it.
"""
