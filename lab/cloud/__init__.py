"""The rehearsal cloud: one process that is AWS's API, the metadata service, DNS, and the power switch of the hosts."""
