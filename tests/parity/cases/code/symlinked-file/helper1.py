NAME = "helper1"
