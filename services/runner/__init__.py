"""The process of one engine: its app, its prepared voices, its frames."""
