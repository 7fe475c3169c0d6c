TEAM = "a"
