DEEP = "one"
