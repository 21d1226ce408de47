"""Many recordings at once: in processes of this machine, or on the workers of a Dask cluster.

`work` says what is done with each, `processes` and `cluster` do it, and `how_many` says in how many
processes. Results are the same whoever does it, and come in the order of the recordings.
"""
