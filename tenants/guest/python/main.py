"""The Python guest: `python main.py --socket PATH --bundle PATH --dags-folder REL --work PATH --kind task|parse`.

What it does is `lib/airlock_guest/zygote.py`; what it says is the supervisor's PROTOCOL.md.
"""

import os
import sys

# The bundle is read-only, and what a parse leaves behind must not depend on who parsed before.
sys.dont_write_bytecode = True
# Our own folder would offer `main` and `tests` to the repository's imports.
sys.path[0] = os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib")

from airlock_guest.zygote import serve  # noqa: E402

if __name__ == "__main__":
    serve(sys.argv[1:])
