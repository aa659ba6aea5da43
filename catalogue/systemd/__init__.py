"""What systemd and journald read: their directives by section, the kinds of their values, and what became obsolete."""
