WHOSE = "the user's work_pools"
