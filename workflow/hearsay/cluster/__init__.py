"""What a Slurm cluster offers, what the workflow asks of it, and what its jobs cost.

``python -m hearsay.cluster doctor | usage | resume``. Nothing here is imported to plan or to run a
job: a person on the login node calls it.
"""
