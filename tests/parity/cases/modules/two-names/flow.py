import json
import sys
from pathlib import Path

from prefect import flow
from shop import counter as one

import counter as other

one.VALUES.append(1)


@flow
def main(out: str) -> None:
    import again

    seen = {
        "same": one is other,
        "values": [one.VALUES, other.VALUES],
        "imported_again": again.SAME is not sys.modules.get(__name__),
        "names": sorted(name for name in sys.modules if name in ("flow", "again", "counter", "shop.counter")),
        "self": [__name__, __name__ in sys.modules],
    }
    Path(out, "seen.json").write_text(json.dumps(seen))
