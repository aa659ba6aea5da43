"""An account of AWS: what the program asks of it, as policies, and what it lacks for a stack."""
