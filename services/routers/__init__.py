"""The Gateway's routes, one module per resource."""
