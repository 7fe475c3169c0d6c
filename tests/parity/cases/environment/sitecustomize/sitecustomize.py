import decimal
import os

os.environ["FROM_SITE"] = "first"
decimal.getcontext().prec = 7
