"""What the server keeps: settings of the database, the cache and the object store."""
