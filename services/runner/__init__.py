"""The process of one engine: its app, its routes and its prepared voices."""
