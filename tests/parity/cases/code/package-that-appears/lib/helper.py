NAME = "module of lib"
