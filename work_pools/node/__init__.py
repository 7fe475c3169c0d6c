"""The inside of a node: zygote and spare children, supervision, freeze and thaw."""
