"""A host that somebody made by hand, as the catalogue would say it: read without touching it, understood, compared."""
