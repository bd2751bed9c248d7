"""``awaaztwin voice``: the organisation's own voices."""
