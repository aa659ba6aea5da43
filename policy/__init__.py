"""Policy rules over a stack's resources and its hosts' files, one function each."""
