"""A report for a terminal, a comment, a program, a browser."""
