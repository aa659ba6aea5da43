"""What looks after a host between releases: conditions, repairs, and what is remembered of both."""
