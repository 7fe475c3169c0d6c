import logging

from quiet import main

logging.basicConfig(level=logging.DEBUG, format="%(name)s %(message)s")
logging.getLogger("httpx").setLevel(logging.CRITICAL)
logging.getLogger("prefect").setLevel(logging.DEBUG)
logging.addLevelName(25, "NOTICE")
logging.disable(logging.DEBUG)
