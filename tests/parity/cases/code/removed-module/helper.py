NAME = "there"
