"""The object store: recordings and finished audio, in a folder or in S3."""
