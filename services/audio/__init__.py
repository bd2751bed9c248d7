"""Encoding of PCM into the bytes of a response, incrementally and in process."""
