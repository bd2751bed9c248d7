"""All SQL: one repository per table. Repositories of tenants' data are limited to one tenant.

A repository works in the session that it is given and never commits: the caller ends the transaction.
"""
