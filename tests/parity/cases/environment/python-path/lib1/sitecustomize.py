import os

os.environ["FROM_SITE"] = "lib1"
