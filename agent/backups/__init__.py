"""Backups of a host's services by restic: made by a timer, listed, verified, restored, and tried on scratch
volumes. What is backed up, and how, stands in the release that serves."""
