"""Figures of the project; `make bench` measures them on a running lab."""
