"""The same work done on the same lab host by this program and by what people would use instead: `make bench-peers`."""
