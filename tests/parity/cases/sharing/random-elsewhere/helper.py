import random


class Client:
    def __init__(self) -> None:
        self._random = random.Random()
        self.id = f"client-{self._random.getrandbits(64):x}"

    def jitter(self) -> float:
        return self._random.random()


class Registry:
    clients = {"default": [Client()]}
