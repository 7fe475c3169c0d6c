WHOSE = "the user's psutil"
