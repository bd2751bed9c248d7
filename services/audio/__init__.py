"""Audio coding: PCM in, the bytes of a response out, incrementally and in process."""
