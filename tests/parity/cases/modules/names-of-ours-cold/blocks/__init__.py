WHOSE = "the user's blocks"
