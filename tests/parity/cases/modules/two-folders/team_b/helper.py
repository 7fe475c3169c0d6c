TEAM = "b"
