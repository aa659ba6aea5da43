"""For all tests."""

from hypothesis import settings

# A test asserts what is true, and not how long it took on a loaded machine
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")
