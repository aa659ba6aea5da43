"""What no stack may be, whatever somebody wrote: rules over its resources and its hosts' files."""
