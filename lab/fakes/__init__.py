"""Test equipment: stand-ins for the `aws` and `command` plugins, used only where the real ones cannot be downloaded.

They behave like the real ones where the program depends on it, and refuse whatever they do not know.
"""
