from datetime import datetime


class Store:
    def stamp(self, *, at: datetime = datetime.now()) -> str:
        return at.isoformat()
