"""The Gateway's routes, a module for each resource."""
