"""What runs inside zygotes and task processes.

A zygote holds loaded code and forks; a child runs one flow run. Both talk to their node over socket pairs and a
page of shared flags. Nothing here imports the node: these modules live in processes that hold user code.
"""
