"""Voices of a tenant's own: made from recordings, prepared in engines that clone, allowed by a consent."""
