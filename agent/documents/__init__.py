"""The form of what a host keeps and answers, as types: its release's manifest, its jobs and their history, its answers,
what its monitor remembers. And what Docker answers to it (docker.py).

They say nothing at run time: who reads what another version wrote looks at it first (agent/store.py, infra/forms.py).
Of a class `_Any…` all entries have the fields, of the class that extends it some.
"""
