import fcntl

LOCK = open("ours.lock", "w")
fcntl.flock(LOCK, fcntl.LOCK_EX | fcntl.LOCK_NB)
