"""The steps of a region move that talk to hosts and names. Each reads its request, and says how it goes line by line; a
failure is InfraError, with one line that says why."""
