from deep import DEEP

NAME = f"helper {DEEP}"
