"""Tenants' own voices: created from recordings, prepared by engines that clone, and allowed by a consent."""
