"""The processes of one host: the memory that they share, their folder, their parent."""
