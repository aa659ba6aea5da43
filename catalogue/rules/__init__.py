"""The rules that span services, by what they are about. Each is a small generator of problems."""
