import os
import sys

from quiet import main

os.environ["PARITY_LEFT"] = "here"
os.environ["PREFECT_LOGGING_LEVEL"] = "ERROR"
os.environ.pop("HOME", None)
sys.path.append("/left-behind")
sys.argv.append("--left-behind")
os.makedirs("elsewhere", exist_ok=True)
os.chdir("elsewhere")
