"""What goes wrong outside the catalogue."""


class InfraError(Exception):
    """One line for a person: what, where, why, what now."""
