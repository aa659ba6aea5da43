"""A hand-made host, as the catalogue would say it: read without touching it, understood, compared."""
